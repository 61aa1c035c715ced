"""Rates of methods that train: absolute as they are named, multiples as they are passed on."""

from typing import Any

import pytest
import torch
from torch import nn

from bitscape.formats import parse_scheme
from bitscape.methods import METHODS
from bitscape.methods.rates import multiple
from bitscape.nn import ActivationQuantizer
from bitscape.passes import Distill, Training
from bitscape.passes.trained_groups import trained_groups
from bitscape.structure import StepClock

TRAINED = ("efficientdm", "mpq-dm", "mpq-dm-faithful")


def training(name: str, **options: Any) -> Training:
    """The training of the method `name`."""
    last = METHODS[name](**options).passes()[-1]
    assert isinstance(last, Distill)
    return last.training


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("rate", [1e-3, 2e-5])
def test_rates_of_scales_and_ranges_are_absolute(name: str, rate: float) -> None:
    found = training(name, rate=rate, scale_rate=4e-4, range_rate=7e-4)
    assert found.rate * found.scales == pytest.approx(4e-4)
    assert found.rate * found.ranges == pytest.approx(7e-4)


@pytest.mark.parametrize("name", ["efficientdm", "mpq-dm-faithful"])
def test_nothing_but_rounded_weights_and_ranges_is_trained(name: str) -> None:
    assert training(name).rest == 0


def test_what_is_not_rounded_learns_at_a_rate_of_its_own() -> None:
    assert training("mpq-dm").rest == 1
    assert training("mpq-dm", rate=1e-3, rest_rate=1e-4).rest == pytest.approx(0.1)
    assert training("mpq-dm", rest_rate=0.0).rest == 0


@pytest.mark.parametrize("name", TRAINED)
def test_without_options_all_have_the_rate_of_the_weights(name: str) -> None:
    found = training(name)
    assert (found.rate, found.scales, found.ranges) == (1e-3, 1.0, 1.0)


def test_the_optimizer_moves_a_range_by_its_own_rate() -> None:
    scheme = parse_scheme("W4A4,static").default.activation
    assert scheme is not None
    quantizer = ActivationQuantizer(scheme, StepClock())
    del quantizer.table_scale
    quantizer.register_parameter("table_scale", nn.Parameter(torch.tensor([[1.0], [3.0]])))
    found = training("efficientdm", rate=2e-5, range_rate=5e-4)
    (group,) = trained_groups([quantizer], found)
    assert group["lr"] == pytest.approx(5e-4 * 2.0)


def test_a_multiple_is_that_of_a_positive_rate() -> None:
    assert multiple(None, 0.5) == 1
    assert multiple(0.0, 0.5) == 0
    with pytest.raises(ValueError, match=r"positive rate, got 0.0"):
        multiple(1e-3, 0.0)
