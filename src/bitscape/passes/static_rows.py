"""Sampled rows of an input as a static table rounds them, before there is such a table."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from bitscape.calibration import spread
from bitscape.formats import TensorScheme
from bitscape.quantizers import RangeRule, fake_quantize

FITTED = 8192
"""Values from which a static range is fitted; its extremes are always among them."""


def rounded_static(
    U: Float[Tensor, "row column"],
    row_of: Int64[Tensor, " row"],
    splits: Sequence[int],
    scheme: TensorScheme,
    rule: RangeRule,
) -> Float[Tensor, "row column"]:
    """`U` with one grid for each value of `row_of` and each split, so many columns, of the input.

    A grid is fitted by `rule` to the very values that it rounds.
    """
    result = torch.empty_like(U)
    order = row_of.argsort(stable=True)
    counts = row_of.unique(return_counts=True)[1]
    first = counts.cumsum(0) - counts
    # Groups of one size are fitted and rounded in one go: a sampler of fifty steps has fifty.
    for count in counts.unique().tolist():
        places = first[counts == count, None] + torch.arange(count, device=U.device)
        rows = order[places]
        parts = [_rounded(part, scheme, rule) for part in U[rows].split(list(splits), dim=2)]
        result[rows] = torch.cat(parts, dim=2)
    return result


def _rounded(
    U: Float[Tensor, "group row column"], scheme: TensorScheme, rule: RangeRule
) -> Float[Tensor, "group row column"]:
    flat = U.flatten(1)
    low, high = flat.aminmax(dim=1, keepdim=True)
    sample = flat[:, spread(flat.shape[1], FITTED, flat.device)]
    grid = rule(torch.cat([low, high, sample], dim=1)[:, None], scheme.format, scheme.symmetric)
    return fake_quantize(U, grid, scheme.format)
