"""What the tokenizer alone costs: the best that a model can reach which decodes through it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from bitscape.evaluation.generate import Shard
from bitscape.evaluation.measure import Numbers, quality
from bitscape.evaluation.protocol import Encode, EvaluationProtocol, ranges
from bitscape.evaluation.reference import real_reference
from bitscape.structure import Pipeline


def reconstruction_floor(
    pipeline: Pipeline,
    protocol: EvaluationProtocol,
    n: int,
    *,
    encode: Encode | None = None,
    workspace: Path,
    batch: int = 100,
) -> Numbers:
    """The quality numbers of `n` real images encoded and decoded, as if a model had made them.

    `encode` replaces the protocol's where a model can only reach rounded latents (a codebook). The
    images are others than those behind the reference, so that the value contains the bias of the
    sample count just as a model's does.
    """
    reference = real_reference(pipeline, protocol, workspace / "reference", batch=batch)
    shards = _reconstructed(
        pipeline, protocol, encode or protocol.encode, ranges(n, batch, first=protocol.real)
    )
    return quality(shards, protocol, reference)


@torch.no_grad()
def _reconstructed(
    pipeline: Pipeline, protocol: EvaluationProtocol, encode: Encode, parts: Sequence[range]
) -> Iterator[Shard]:
    for part in parts:
        images, labels = protocol.draw(part)
        latents = encode(pipeline, images)
        yield Shard(pipeline.adapter.decode(pipeline.tokenizer, latents), latents, labels)
