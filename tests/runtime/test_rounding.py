"""Codes of activations: those of the grid, whole and in parts."""

import pytest
import torch

from bitscape.formats import Granularity, Int, TensorScheme
from bitscape.nn import QuantLinear
from bitscape.quantizers import bounds_grid, quantize
from bitscape.runtime.rounding import Rounded, rounder
from bitscape.structure import Role, Site, StepClock


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8])
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_codes_are_those_of_the_grid(bits: int, signed: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = QuantLinear.of(torch.nn.Linear(32, 4), Site("fc", Role.FC1), StepClock())
    scheme = TensorScheme(Int(bits, signed), Granularity("tensor"), symmetric=signed)
    grid = bounds_grid(torch.tensor([[-1.5]]), torch.tensor([[2.5]]), scheme.format, signed)
    layer.quantize_activation(scheme).set_table(grid.scale, grid.zero)
    x = torch.randn(50, 32) * 3
    x[0] = float(grid.scale) * (torch.arange(32) - 15.5)
    rounded = rounder(layer, dtype)(x)
    assert rounded.codes.dtype == dtype
    lift = rounded.zero - (0 if grid.zero is None else int(grid.zero))
    expected = quantize(x, grid, scheme.format) + lift
    difference = rounded.codes.float() - expected
    # Halves may fall either way: the layer divides by the scale, the kernel multiplies.
    assert bool((difference[1:] == 0).all())
    assert float(difference.abs().max()) <= 1
    assert float(rounded.scale) == float(grid.scale)


@pytest.mark.parametrize("by_row", [True, False], ids=["by row", "shared"])
def test_parts_take_their_rows_of_the_grid_along(by_row: bool) -> None:
    codes = torch.arange(14).view(7, 2)
    scale = torch.arange(1.0, 8.0).view(7, 1) if by_row else 0.5
    zero = torch.arange(7).view(7, 1) if by_row else 3
    parts = list(Rounded(codes, scale, zero).parts(3))
    values = [part.scale * (part.codes - part.zero) for _, part in parts]
    assert torch.equal(torch.cat(values), scale * (codes - zero))
    assert [place.start for place, _ in parts] == [0, 3, 6]
