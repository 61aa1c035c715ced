"""What the tokenizer alone costs: the best that a model can reach which decodes through it."""

from collections.abc import Iterator
from pathlib import Path

import torch

from bitscape.evaluation.generate import Shard
from bitscape.evaluation.measure import Numbers, quality
from bitscape.evaluation.protocol import EvaluationProtocol, ranges
from bitscape.evaluation.reference import real_reference
from bitscape.structure import Pipeline


def reconstruction_floor(
    pipeline: Pipeline,
    protocol: EvaluationProtocol,
    n: int,
    *,
    workspace: Path,
    batch: int = 100,
) -> Numbers:
    """The quality numbers of `n` real images encoded and decoded, as if a model had made them.

    The images are others than those behind the reference, so that the value contains the bias of
    the sample count just as a model's does.
    """
    reference = real_reference(pipeline, protocol, workspace / "reference", batch=batch)
    return quality(_reconstructed(pipeline, protocol, n, batch), protocol, reference)


@torch.no_grad()
def _reconstructed(
    pipeline: Pipeline, protocol: EvaluationProtocol, n: int, batch: int
) -> Iterator[Shard]:
    for part in ranges(n, batch, first=protocol.real):
        images, labels = protocol.draw(part)
        latents = protocol.encode(pipeline, images)
        yield Shard(pipeline.adapter.decode(pipeline.tokenizer, latents), latents, labels)
