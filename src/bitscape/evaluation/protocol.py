"""What a number is measured with: feature network, real images, latents, and how many of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from bitscape.structure import Pipeline

Report = Callable[[str, int, int], None]
"""Progress: what is being done, how many are done, how many there are."""

Draw = Callable[[range], tuple[Tensor, Tensor]]
"""Real images in [-1, 1], shape (batch, 3, h, w), and labels, for consecutive indices."""

Encode = Callable[[Pipeline, Tensor], Tensor]
"""Latents of images in [-1, 1], in the space that the pipeline's trajectory ends in."""


@runtime_checkable
class Extractor(Protocol):
    """A network that looks at images; the Fréchet distance is named after it."""

    def features(
        self, images: UInt8[Tensor, "batch height width 3"]
    ) -> Float[Tensor, "batch feature"]:
        """Feature vectors."""
        ...

    def logits(self, features: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch class"]:
        """Class scores of images by their features."""
        ...


@dataclass(frozen=True)
class EvaluationProtocol:
    """Everything that must be equal before two numbers may be compared, except sample counts.

    `name` identifies data and extractor together with their version. `draw` returns held-out
    images, never seen in training. `real` images give the reference statistics. `distance` is what
    the Fréchet distance on this extractor's features is called; it is FID for no extractor of ours.
    """

    name: str
    extractor: Extractor
    draw: Draw
    encode: Encode
    num_classes: int
    real: int = 5000
    distance: str = "fd_shapes"


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    `n` generated images for each of `seeds`; `losses` real images for the teacher-forced loss;
    `paths` sampled images a seed whose prefixes are replayed for KL and token agreement; `shard`
    images a file, which is also the batch.
    """

    n: int = 1000
    seeds: tuple[int, ...] = (0, 1, 2)
    losses: int = 1000
    paths: int = 64
    shard: int = 100

    def __post_init__(self) -> None:
        for key, least in (("n", 4), ("losses", 2), ("paths", 1), ("shard", 1)):
            if getattr(self, key) < least:
                raise ValueError(f"{key} = {getattr(self, key)}: it must be at least {least}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds = {self.seeds}: give at least one, each once, none below zero")


def balanced_labels(n: int, num_classes: int) -> Int[Tensor, " batch"]:
    """0, 1, ..., num_classes - 1 repeated: image i has class i modulo the number of classes."""
    return torch.arange(n) % num_classes


def ranges(count: int, size: int, first: int = 0) -> list[range]:
    """`count` indices from `first` in consecutive ranges of `size`, the last one shorter."""
    stop = first + count
    return [range(start, min(start + size, stop)) for start in range(first, stop, size)]


def silent(stage: str, done: int, total: int) -> None:
    """Report progress to nobody."""
