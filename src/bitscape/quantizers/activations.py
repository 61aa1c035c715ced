"""Activations whose grid is found at run time."""

from jaxtyping import Float
from torch import Tensor

from bitscape.formats import TensorScheme
from bitscape.quantizers.affine import Grid, fake_quantize
from bitscape.quantizers.groups import from_groups, to_groups
from bitscape.quantizers.ranges import bounds_grid
from bitscape.quantizers.scales import round_scale


def dynamic_grid(x: Float[Tensor, "*lead channel"], scheme: TensorScheme) -> Grid:
    """The min-max grid of each group of `x`; per token its scale is (..., token, 1).

    It broadcasts against `to_groups(x, scheme.granularity)`, which for tokens is `x` itself. NaN
    and infinity stay NaN or infinity in their own token and touch no other; refusing them here
    would cost one more pass over every activation.
    """
    low, high = to_groups(x, scheme.granularity).detach().aminmax(dim=-1, keepdim=True)
    grid = bounds_grid(low, high, scheme.format, scheme.symmetric)
    return round_scale(grid, scheme, dead=(low == 0) & (high == 0))


def fake_quantize_dynamic(
    x: Float[Tensor, "*lead channel"], scheme: TensorScheme
) -> Float[Tensor, "*lead channel"]:
    """`x` moved onto its own dynamic grid, with the straight-through gradient."""
    grouped = to_groups(x, scheme.granularity)
    rounded = fake_quantize(grouped, dynamic_grid(x, scheme), scheme.format)
    return from_groups(rounded, x.shape, scheme.granularity)
