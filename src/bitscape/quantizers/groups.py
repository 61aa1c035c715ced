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
            return x.reshape(*x.shape[:-1], granularity.groups(x.shape[-1]), -1)
        case "tile":
            raise ValueError("tiles share codebooks, not scales: see `tiles_of`")


def from_groups(
    grouped: Shaped[Tensor, "*view group size"], shape: tuple[int, ...]
) -> Shaped[Tensor, "*shape"]:
    """The grouped view back in its original `shape`: the inverse of `to_groups`."""
    return grouped.reshape(shape)
