"""Rows of several widths: each has the grid that it would have by itself."""

import pytest
import torch

from bitscape.formats import Int, MixedInt
from bitscape.quantizers import RANGES, Grid, quantize
from bitscape.quantizers.mixed import mixed_grid

WIDTHS = (2, 3, 1, 2, 3, 1)


def grouped() -> torch.Tensor:
    """Six rows of two groups."""
    return torch.randn(6, 2, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("rule", ["minmax", "mse"])
def test_each_row_has_the_grid_of_its_own_width(rule: str) -> None:
    x = grouped()
    found = mixed_grid(x, MixedInt(2, WIDTHS), RANGES[rule])
    assert found.zero is None
    for row, width in enumerate(WIDTHS):
        if width > 1:
            assert torch.equal(found.scale[row], RANGES[rule](x[row], Int(width), True).scale)


def test_a_row_of_one_bit_has_the_scale_of_least_error() -> None:
    x, fmt = grouped(), MixedInt(2, WIDTHS)
    best = mixed_grid(x, fmt, RANGES["minmax"]).scale

    def errors(scale: torch.Tensor) -> torch.Tensor:
        """The squared error of each group of the two rows of one bit."""
        rounded = quantize(x, Grid(scale), fmt) * scale
        return (rounded - x).square().sum(dim=-1)[[2, 5]]

    for factor in (0.98, 1.02):
        assert bool((errors(factor * best) > errors(best)).all())


def test_rows_of_nothing_but_zero_still_have_a_scale() -> None:
    found = mixed_grid(torch.zeros(6, 1, 4), MixedInt(2, WIDTHS), RANGES["minmax"])
    assert bool((found.scale > 0).all())
