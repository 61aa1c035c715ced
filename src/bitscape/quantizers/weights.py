"""Weights to codes and back."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from bitscape.formats import Codebook, MixedInt, TensorScheme
from bitscape.quantizers.affine import Grid, dequantize, quantize
from bitscape.quantizers.codebooks import Centroids, look_up_weight
from bitscape.quantizers.groups import from_groups, group_views, to_groups
from bitscape.quantizers.mixed import mixed_grid
from bitscape.quantizers.ranges import RangeRule
from bitscape.quantizers.scales import round_scale


def weight_grid(W: Float[Tensor, "out in"], scheme: TensorScheme, rule: RangeRule) -> Grid:
    """The grid of a weight: `rule` on its groups, with the scales rounded as they are stored."""
    grid = exact_grid(W, scheme, rule)
    dead = (to_groups(W, scheme.granularity) == 0).all(dim=-1, keepdim=True)
    return round_scale(grid, scheme, dead=dead)


def exact_grid(W: Float[Tensor, "out in"], scheme: TensorScheme, rule: RangeRule) -> Grid:
    """The grid that `rule` finds for the groups of a weight, before its scales are rounded."""
    fmt = scheme.format
    if isinstance(fmt, Codebook):
        raise ValueError(f"{scheme} has codebooks, not grids: choose the method gptvq")
    views = group_views(W.float(), scheme.granularity)
    if isinstance(fmt, MixedInt):
        return _joined([mixed_grid(view, fmt, rule) for view in views])
    return _joined([rule(view, fmt, scheme.symmetric) for view in views])


def quantize_weight(
    W: Float[Tensor, "out in"], grid: Grid, scheme: TensorScheme
) -> UInt8[Tensor, "out in"]:
    """The code of the grid point nearest to each weight."""
    grouped = to_groups(W.float(), scheme.granularity)
    codes = scheme.format.encode(quantize(grouped, grid, scheme.format))
    return from_groups(codes, W.shape, scheme.granularity)


def dequantize_weight(
    codes: UInt8[Tensor, "out codes"], grid: Grid | Centroids, scheme: TensorScheme
) -> Float[Tensor, "out in"]:
    """The weights that `codes` stand for."""
    if isinstance(grid, Centroids):
        return look_up_weight(codes, grid, scheme)
    values = scheme.format.decode(to_groups(codes, scheme.granularity))
    return from_groups(dequantize(values, grid), codes.shape, scheme.granularity)


def _joined(grids: list[Grid]) -> Grid:
    zeros = [grid.zero for grid in grids if grid.zero is not None]
    scale = torch.cat([grid.scale for grid in grids], dim=-2)
    return Grid(scale, torch.cat(zeros, dim=-2) if zeros else None)
