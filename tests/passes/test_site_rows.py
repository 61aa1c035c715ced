"""Sampled rows of a site: where its channels end, and how the quantizer will round them."""

import pytest
import torch
from torch import nn

from bitscape.calibration import Rows, site_input
from bitscape.formats import parse_scheme
from bitscape.nn import QuantConv2d
from bitscape.passes.rounders import range_rule
from bitscape.passes.site_rows import SiteRows
from bitscape.quantizers import minmax
from bitscape.structure import Kind, Role, Site, StepClock


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

    def view(scheme: str) -> SiteRows:
        return SiteRows(rows, parse_scheme(scheme).default.activation, at, minmax, (6,), taps)

    both = torch.stack([values.amax(dim=0), -values.amin(dim=0)]).clamp(min=0)
    assert both[1, 0] == 0
    torch.testing.assert_close(view("W4A4").ends, both)
    torch.testing.assert_close(view("W4Ae2m1").ends, values.abs().amax(dim=0)[None])


@pytest.mark.parametrize("kernel", [1, 3])
def test_dynamic_inputs_of_a_convolution_are_rounded_as_its_layer_rounds_them(kernel: int) -> None:
    torch.manual_seed(0)
    layer = QuantConv2d.of(
        nn.Conv2d(6, 4, kernel), Site("conv", Role.CONV, Kind.CONV, splits=(4, 2)), StepClock()
    )
    scheme = parse_scheme("W4A4").default.activation
    assert scheme is not None
    x = torch.randn(1, 6, 7, 7) * torch.linspace(1, 4, 6)[:, None, None]
    # Windows of the layer's rounded input, beside rounded windows of its input.
    expected = site_input(layer, layer._rounded(x, layer.quantize_activation(scheme)))[0]
    X, at = site_input(layer, x)[0], torch.zeros(len(expected), dtype=torch.int64)
    ends = [X.amin(0)[None], X.amax(0)[None], X.abs().mean(0)]
    rows = Rows(X, at, torch.ones(len(X)), torch.zeros(1, dtype=torch.int64), *ends)
    taps = kernel**2
    splits = (4 * taps, 2 * taps)
    sample = SiteRows(rows, scheme, at, range_rule("mse"), splits, taps, by_token=False)
    torch.testing.assert_close(sample.rounded(X), expected)


def test_rows_after_a_position_keep_their_rows_of_the_table() -> None:
    at = torch.tensor([0, 1, 0, 2, 1])
    X = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    rows = Rows(X, at, torch.ones(5), torch.arange(3), X[:3], X[:3], X.abs().mean(0))
    sample = SiteRows(rows, None, 10 * at, minmax, (3,))
    later = sample.after(1)
    assert torch.equal(later.row_of, 10 * later.rows.positions)
    assert later.rows.positions.tolist() == [1, 2, 1]
    assert sample.after(3) is sample
