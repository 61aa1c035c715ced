"""The order of passes is checked before any of them runs."""

from collections.abc import Callable

import pytest

from bitscape.formats import parse_scheme
from bitscape.nn import quantized_sites
from bitscape.passes import (
    Context,
    Nearest,
    Pass,
    QuantizeActivations,
    QuantizeWeights,
    check_order,
    run,
)
from bitscape.structure import Pipeline

Make = Callable[..., Context]
WEIGHTS, ACTIVATIONS = QuantizeWeights(Nearest()), QuantizeActivations()


def test_weights_come_before_activations(pipeline: Pipeline, context: Make) -> None:
    check_order([WEIGHTS, ACTIVATIONS])
    with pytest.raises(ValueError, match="QuantizeWeights must run before the activation"):
        run([ACTIVATIONS, WEIGHTS], pipeline, context("W8A8"))
    assert not quantized_sites(pipeline.network)


@pytest.mark.parametrize("step", [WEIGHTS, ACTIVATIONS], ids=["weights", "activations"])
def test_nothing_is_quantized_twice(step: Pass, pipeline: Pipeline, context: Make) -> None:
    with pytest.raises(ValueError, match="must run before"):
        check_order([step, step])
    run([step], pipeline, context("W8A8"))
    with pytest.raises(ValueError, match="quantized already"):
        run([step], pipeline, context("W8A8"))


def test_sites_the_scheme_leaves_alone_stay_as_they_were(pipeline: Pipeline, context: Make) -> None:
    run([WEIGHTS], pipeline, context("W8A16/ada=W16A16"))
    roles = {layer.site.role for layer in quantized_sites(pipeline.network).values()}
    assert "qkv" in roles
    assert "ada" not in roles


def test_missing_calibration_is_an_error() -> None:
    with pytest.raises(ValueError, match="rounding needs calibration data"):
        Context(parse_scheme("W4A16")).calibrated("rounding")
