"""A fold as rules see it."""

import pytest
import torch

from bitscape.calibration import Rows
from bitscape.formats import parse_scheme
from bitscape.passes.fold_view import FoldView
from bitscape.quantizers import minmax


@pytest.mark.parametrize("taps", [1, 2])
def test_an_end_of_a_channel_is_its_furthest_value_on_that_side(taps: int) -> None:
    X = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    X[:, :2] = X[:, :2].abs() + 1.0
    at = torch.arange(20) % 2
    ends = [
        torch.stack([f(X[at == i]) for i in (0, 1)])
        for f in (lambda x: x.amin(0), lambda x: x.amax(0))
    ]
    rows = Rows(X, at, torch.ones(20), torch.arange(2), *ends, X.abs().mean(dim=0))
    values = X.unflatten(1, (-1, taps)).movedim(2, 0).flatten(0, 1)

    def view(scheme: str) -> FoldView:
        sites = [parse_scheme(scheme).default]
        return FoldView(rows, [torch.ones(3, 6)], sites, at, minmax, minmax, taps=taps)

    both = torch.stack([values.amax(dim=0), -values.amin(dim=0)]).clamp(min=0)
    assert both[1, 0] == 0
    torch.testing.assert_close(view("W4A4").ends, both)
    torch.testing.assert_close(view("W4Ae2m1").ends, values.abs().amax(dim=0)[None])
