"""Column quantizers on the grids of a tensor scheme: fixed beforehand, or fitted on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.formats import Format, TensorScheme
from bitscape.quantizers import Grid, RangeRule, dequantize, quantize, round_scale, weight_grid


@dataclass(frozen=True)
class FixedGrids:
    """Rounds each column on the grid of its group, `groups` says which; the grids never change."""

    format: Format
    groups: Sequence[int]
    grids: Sequence[Grid]
    group: int | None = None

    @classmethod
    def of(cls, W: Float[Tensor, "out in"], scheme: TensorScheme, rule: RangeRule) -> "FixedGrids":
        """The grids that `rule` finds for the original weights."""
        grid = weight_grid(W, scheme, rule)
        runs = scheme.granularity.runs(W.shape[1])
        groups = [group for group, run in enumerate(runs) for _ in range(run)]
        return cls(scheme.format, groups, _by_column(grid))

    def prepare(self, corners: Float[Tensor, "steps width width"], columns: list[int]) -> None:
        """Nothing: grids do not depend on what errors cost."""

    def fit(self, columns: Float[Tensor, "out group"], index: int) -> None:
        """Nothing: the grids are fixed."""

    def round(self, columns: Float[Tensor, "out width"], index: int) -> Float[Tensor, "out width"]:
        """`columns` moved onto their grid."""
        grid = self.grids[self.groups[index]]
        return dequantize(quantize(columns, grid, self.format), grid)

    def grid(self) -> Grid:
        """All grids as one, in the grouped shape (out, groups, 1)."""
        return _joined(self.grids)


@dataclass(frozen=True)
class FittedGroups:
    """Fits the grid of each group when its turn comes, on weights that already make up for others.

    The scale of NVFP4 blocks hangs on all of them at once: ValueError, fix those beforehand.
    """

    scheme: TensorScheme
    rule: RangeRule
    grids: dict[int, Grid] = field(default_factory=dict)

    @property
    def group(self) -> int | None:
        """The scheme's group size."""
        return self.scheme.granularity.size

    def prepare(self, corners: Float[Tensor, "steps width width"], columns: list[int]) -> None:
        """Nothing: grids do not depend on what errors cost."""

    def fit(self, columns: Float[Tensor, "out group"], index: int) -> None:
        """Fit the grid of the group that starts at column `index`."""
        assert self.group is not None
        grouped = columns.float().unsqueeze(1)
        grid = self.rule(grouped, self.scheme.format, self.scheme.symmetric)
        [self.grids[index // self.group]] = _by_column(round_scale(grid, self.scheme))

    def round(self, columns: Float[Tensor, "out width"], index: int) -> Float[Tensor, "out width"]:
        """`columns` moved onto the grid of their group."""
        assert self.group is not None
        grid = self.grids[index // self.group]
        return dequantize(quantize(columns, grid, self.scheme.format), grid)

    def grid(self) -> Grid:
        """All grids as one, in the grouped shape (out, groups, 1)."""
        return _joined([self.grids[i] for i in range(len(self.grids))])


def _by_column(grid: Grid) -> list[Grid]:
    """One grid a group, of contiguous columns (out, 1): they are read once for each column."""
    scales = grid.scale.unbind(1)
    zeros = [None] * len(scales) if grid.zero is None else grid.zero.unbind(1)
    return [
        Grid(scale.contiguous(), None if zero is None else zero.contiguous())
        for scale, zero in zip(scales, zeros, strict=True)
    ]


def _joined(grids: Sequence[Grid]) -> Grid:
    zeros = [grid.zero for grid in grids if grid.zero is not None]
    scale = torch.stack([grid.scale for grid in grids], dim=1)
    return Grid(scale, torch.stack(zeros, dim=1) if zeros else None)
