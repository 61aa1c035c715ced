"""Grouped views: the elements that share a scale, laid along the last axis."""

from jaxtyping import Shaped
from torch import Tensor

from bitscape.formats import Granularity


def to_groups(
    x: Shaped[Tensor, "*lead channel"], granularity: Granularity
) -> Shaped[Tensor, "*view group size"]:
    """`x` with the elements that share a scale along the last axis.

    channel: (out, in) -> (out, 1, in). group: (..., in) -> (..., groups, size). token: unchanged,
    each row being a group. tensor and step: (1, 1, all). Scales have the same axes, the last of
    length one.
    """
    match granularity.kind:
        case "token":
            return x
        case "tensor" | "step":
            return x.reshape(1, 1, -1)
        case "channel":
            return x.unsqueeze(-2)
        case "group":
            size = granularity.size or x.shape[-1]
            if x.shape[-1] % size:
                raise ValueError(_does_not_divide(x.shape[-1], size))
            return x.reshape(*x.shape[:-1], -1, size)


def from_groups(
    grouped: Shaped[Tensor, "*view group size"], shape: tuple[int, ...]
) -> Shaped[Tensor, "*shape"]:
    """The grouped view back in its original `shape`: the inverse of `to_groups`."""
    return grouped.reshape(shape)


def _does_not_divide(width: int, size: int) -> str:
    divisors = [d for d in range(1, width + 1) if width % d == 0]
    nearest = sorted(divisors, key=lambda d: abs(d - size))[:3]
    options = ", ".join(str(d) for d in sorted(nearest))
    return f"groups of {size} do not divide a width of {width}: the nearest sizes are {options}"
