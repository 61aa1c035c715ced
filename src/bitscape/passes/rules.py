"""Rules: the changes of basis that a paper would try at one fold, as candidates."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from bitscape.algorithms import (
    awq_scale,
    balanced_dilation_scale,
    smoothquant_scale,
    unit_gauge,
)
from bitscape.nn import largest_order
from bitscape.passes.fold_view import FoldView
from bitscape.passes.transform import Transform

GRID = tuple(round(0.05 * i, 2) for i in range(21))


@runtime_checkable
class Rule(Protocol):
    """A way to find changes of basis."""

    def __call__(self, fold: FoldView) -> Iterator[Transform]:
        """The candidates for `fold`; where the first is taken unseen, there is one."""
        ...


@dataclass(frozen=True)
class Smooth:
    """SmoothQuant's scale at each of `alphas`, from the maxima of each channel."""

    alphas: tuple[float, ...] = (0.5,)

    def __call__(self, fold: FoldView) -> Iterator[Transform]:
        """One candidate an alpha."""
        for alpha in self.alphas:
            yield smoothed(fold, alpha)


@dataclass(frozen=True)
class MeanSmooth:
    """AWQ's scale at each of `alphas`, from the mean magnitude of each channel."""

    alphas: tuple[float, ...] = GRID[:-1]

    def __call__(self, fold: FoldView) -> Iterator[Transform]:
        """One candidate an alpha."""
        for alpha in self.alphas:
            yield Transform(f"awq {alpha:g}", awq_scale(fold.sample.mean_abs, alpha))


@dataclass(frozen=True)
class Rotate:
    """A Hadamard rotation with random signs, behind SmoothQuant's scale for each of `alphas`.

    Within the heads where the producer has heads, so that it can take the rotation over; across all
    channels elsewhere.
    """

    alphas: tuple[float | None, ...] = (None,)

    def __call__(self, fold: FoldView) -> Iterator[Transform]:
        """One candidate an alpha, for linear layers; None rotates x itself."""
        if not fold.rotatable:
            return
        order = largest_order(fold.run or fold.sample.width)
        drawn = torch.Generator().manual_seed(fold.seed)
        signs = 1.0 - 2.0 * torch.randint(2, (fold.sample.width,), generator=drawn)
        for alpha in self.alphas:
            before = Transform() if alpha is None else smoothed(fold, alpha)
            label = "rotation" if alpha is None else f"{before.label} + rotation"
            yield before.rotated(label, order, signs.to(fold.sample.rows.X))


@dataclass(frozen=True)
class Dilate:
    """Weight dilation, full or balanced between the two errors; nothing where it does nothing.

    `published` keeps both ends of every row, as the paper does, where a symmetric grid would let a
    channel grow up to the row's largest magnitude.
    """

    balanced: bool = True
    published: bool = False

    def __call__(self, fold: FoldView) -> Iterator[Transform]:
        """At most one candidate."""
        full = fold.dilation(published=self.published)
        if not self.balanced:
            yield Transform("dilation", full)
        elif fold.sample.scheme is not None:
            A, B = fold.shares(Transform("dilation", full))
            scale = balanced_dilation_scale(full, fold.sample.ends, A, B)
            yield Transform("balanced dilation", scale)


def smoothed(fold: FoldView, alpha: float) -> Transform:
    """SmoothQuant's transform of a fold."""
    scale = smoothquant_scale(fold.sample.max_abs, fold.column_maxima, alpha)
    return Transform(f"smoothquant {alpha:g}", unit_gauge(scale))
