"""Weights to codes and back."""

from jaxtyping import Float, UInt8
from torch import Tensor

from bitscape.formats import Codebook, MixedInt, TensorScheme
from bitscape.quantizers.affine import Grid, dequantize, quantize
from bitscape.quantizers.codebooks import Centroids, look_up_weight
from bitscape.quantizers.groups import from_groups, to_groups
from bitscape.quantizers.mixed import mixed_grid
from bitscape.quantizers.ranges import RangeRule
from bitscape.quantizers.scales import round_scale


def weight_grid(W: Float[Tensor, "out in"], scheme: TensorScheme, rule: RangeRule) -> Grid:
    """The grid of a weight: `rule` on its groups, with the scales rounded as they are stored."""
    if isinstance(scheme.format, Codebook):
        raise ValueError(f"{scheme} has codebooks, not grids: choose the method gptvq")
    grouped = to_groups(W.float(), scheme.granularity)
    if isinstance(scheme.format, MixedInt):
        return round_scale(mixed_grid(grouped, scheme.format, rule), scheme)
    dead = (grouped == 0).all(dim=-1, keepdim=True)
    return round_scale(rule(grouped, scheme.format, scheme.symmetric), scheme, dead=dead)


def quantize_weight(
    W: Float[Tensor, "out in"], grid: Grid, scheme: TensorScheme
) -> UInt8[Tensor, "out in"]:
    """The code of the grid point nearest to each weight."""
    grouped = to_groups(W.float(), scheme.granularity)
    codes = scheme.format.encode(quantize(grouped, grid, scheme.format))
    return from_groups(codes, W.shape)


def dequantize_weight(
    codes: UInt8[Tensor, "out codes"], grid: Grid | Centroids, scheme: TensorScheme
) -> Float[Tensor, "out in"]:
    """The weights that `codes` stand for."""
    if isinstance(grid, Centroids):
        return look_up_weight(codes, grid, scheme)
    values = scheme.format.decode(to_groups(codes, scheme.granularity))
    return from_groups(dequantize(values, grid), codes.shape)
