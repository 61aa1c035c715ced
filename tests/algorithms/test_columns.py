"""Column quantizers: what they round to can be written as codes of their grid."""

import pytest
import torch

from bitscape.algorithms import FittedGroups, FixedGrids
from bitscape.formats import parse_tensor_scheme
from bitscape.quantizers import dequantize_weight, minmax, quantize_weight, weight_grid

SCHEMES = [
    "int4@channel", "uint2@channel", "int4@g16", "uint3@g8", "int4@s30+10+24", "uint2@tensor",
    "e2m3@channel", "ternary@channel", "e4m3@channel", "e2m1@g32*e8m0", "e2m1@g16*e4m3",
]  # fmt: skip


@pytest.mark.parametrize("text", SCHEMES)
def test_rounded_columns_are_codes_of_the_grid(text: str) -> None:
    W = torch.randn(24, 64, generator=torch.Generator().manual_seed(0))
    scheme = parse_tensor_scheme(text)
    fixed = FixedGrids.of(W, scheme, minmax)
    W_hat = torch.cat([fixed.round(W[:, q : q + 1], q) for q in range(64)], dim=1)
    grid = fixed.grid()
    codes = quantize_weight(W_hat, grid, scheme)
    assert torch.equal(dequantize_weight(codes, grid, scheme), W_hat)
    assert torch.equal(grid.scale, weight_grid(W, scheme, minmax).scale)


@pytest.mark.parametrize("text", ["int4@g16", "uint3@g8", "e2m1@g32*e8m0"])
def test_groups_fitted_in_turn_are_those_fitted_at_once(text: str) -> None:
    W = torch.randn(24, 64, generator=torch.Generator().manual_seed(0))
    scheme = parse_tensor_scheme(text)
    fitted = FittedGroups(scheme, minmax)
    assert fitted.group is not None
    for start in range(0, 64, fitted.group):
        fitted.fit(W[:, start : start + fitted.group], start)
    whole = weight_grid(W, scheme, minmax)
    assert torch.equal(fitted.grid().scale, whole.scale)
    expected = FixedGrids.of(W, scheme, minmax)
    for q in (0, 17, 63):
        column = W[:, q : q + 1]
        assert torch.equal(fitted.round(column, q), expected.round(column, q))
