"""The teacher-forced loss, and the paired comparison that resolves every bit width.

Two models are run on the same images with the same noise, so that what the images have in common
cancels: in small models the standard error of the difference is a tenth of the loss's own.
"""

import math
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.evaluation.held_out import encoded_images
from bitscape.evaluation.protocol import Draw, Report, ranges, silent
from bitscape.structure import Pipeline, Randomness, drive

PerImage = Float[Tensor, " batch"]


class Estimate(NamedTuple):
    """A mean and its standard error."""

    mean: float
    standard_error: float


@torch.no_grad()
def teacher_forced_losses(
    pipeline: Pipeline,
    draw: Draw,
    count: int,
    *,
    seed: int = 0,
    batch: int = 100,
    keep: Path | None = None,
    report: Report = silent,
) -> PerImage:
    """The family's training loss on each of `count` real images, in float64.

    Image i meets the noise (or diffusion step) of `(seed, i)` whatever the model: losses of two
    models pair up row by row. The encoded images are kept in the folder `keep`, where one is given.
    ValueError when a loss is not finite.
    """
    result = []
    for part in ranges(count, batch):
        encoded, labels = encoded_images(pipeline, draw, part, keep)
        lesson = pipeline.adapter.lesson(encoded, labels, Randomness(seed, part, pipeline.device))
        output = drive(pipeline.network, lesson.start(), pipeline.clocks)
        result.append(pipeline.adapter.loss(output, lesson.target).double().cpu())
        report(f"{pipeline.adapter.loss_name} of {pipeline.name}", part.stop, count)
    losses = torch.cat(result)
    broken = (~losses.isfinite()).nonzero()
    if len(broken):
        raise ValueError(
            f"the {pipeline.adapter.loss_name} of {pipeline.name} on image {int(broken[0])} is "
            f"{float(losses[broken[0]])}: its weights or scales are broken, quantize it again"
        )
    return losses


def estimate(values: PerImage) -> Estimate:
    """The mean of independent values and its standard error, s / sqrt(n)."""
    return Estimate(float(values.mean()), float(values.std()) / math.sqrt(len(values)))


def paired(a: PerImage, b: Float[Tensor, " other"]) -> Estimate:
    """The mean of a - b over images and its standard error; ValueError unless they pair up."""
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} and {len(b)} losses do not pair up: use the same images")
    return estimate(a - b)
