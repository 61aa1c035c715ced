"""Grouped views: the elements that share a scale, laid along the last axis."""

import torch
from jaxtyping import Shaped
from torch import Tensor

from bitscape.formats import Granularity


def to_groups(
    x: Shaped[Tensor, "*lead channel"], granularity: Granularity
) -> Shaped[Tensor, "*view group size"]:
    """`x` with the elements that share a scale along the last axis.

    channel: (out, in) -> (out, 1, in). group: (..., in) -> (..., groups, size). split: (..., in) ->
    (..., splits, widest), where a narrower one goes on with its own first elements again. token:
    unchanged, each row being a group. tensor and step: (1, 1, all). Scales have the same axes, the
    last of length one.
    """
    match granularity.kind:
        case "token":
            return x
        case "tensor" | "step":
            return x.reshape(1, 1, -1)
        case "channel":
            return x.unsqueeze(-2)
        case "group":
            return x.reshape(*x.shape[:-1], len(granularity.runs(x.shape[-1])), -1)
        case "split":
            widest = max(granularity.widths)
            parts = torch.split(x, [*granularity.runs(x.shape[-1])], dim=-1)
            return torch.stack([_repeated(part, widest) for part in parts], dim=-2)
        case "tile":
            raise ValueError("tiles share codebooks, not scales: see `tiles_of`")


def from_groups(
    grouped: Shaped[Tensor, "*view group size"], shape: tuple[int, ...], granularity: Granularity
) -> Shaped[Tensor, "*shape"]:
    """The grouped view back in its original `shape`: the inverse of `to_groups`."""
    if granularity.kind == "split":
        parts = grouped.unbind(-2)
        widths = zip(parts, granularity.widths, strict=True)
        grouped = torch.cat([part[..., :width] for part, width in widths], dim=-1)
    return grouped.reshape(shape)


def group_views(
    x: Shaped[Tensor, "*lead channel"], granularity: Granularity
) -> list[Shaped[Tensor, "*view group size"]]:
    """`to_groups` with every element once: a view for each split, for groups alike a single one.

    Statistics of groups are taken on these, and joined along the last axis but one.
    """
    if granularity.kind != "split":
        return [to_groups(x, granularity)]
    return [part.unsqueeze(-2) for part in torch.split(x, [*granularity.runs(x.shape[-1])], dim=-1)]


def _repeated(x: Tensor, width: int) -> Tensor:
    # Not zeros: what is computed of a group must not depend on how wide its neighbours are.
    times = -(-width // x.shape[-1])
    return x if times == 1 else torch.cat([x] * times, dim=-1)[..., :width]
