"""Mixed precision: within the budget, no worse than uniform, and said in the report."""

from collections.abc import Callable

import pytest

from bitscape.formats import parse_scheme, tensor_cost
from bitscape.models import FAMILIES
from bitscape.nn import QuantLinear, quantized_sites
from bitscape.passes import Context, MixedPrecision, Nearest, QuantizeWeights, run
from bitscape.structure import Pipeline

Make = Callable[..., Context]
INNER = (QuantizeWeights(Nearest("mse")),)


@pytest.fixture(params=["var", "dit"])
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    """One tiny pipeline of either style."""
    return FAMILIES[request.param].tiny()


def mixed(**options: object) -> MixedPrecision:
    return MixedPrecision(INNER, rounder=Nearest("mse"), bits=(2, 3, 4, 6), **options)


def stored_bits(pipeline: Pipeline) -> float:
    """Bits a weight of a network, from its layers."""
    costs = []
    for layer in quantized_sites(pipeline.network).values():
        assert isinstance(layer, QuantLinear)
        assert layer.coded is not None
        shape = (layer.out_features, layer.in_features)
        costs.append(tensor_cost(shape, layer.coded.scheme))
    return sum(c.total_bits for c in costs) / sum(c.elements for c in costs)


def test_result_is_in_budget_and_no_worse_than_uniform(pipeline: Pipeline, context: Make) -> None:
    uniform = FAMILIES[pipeline.family].tiny()
    run(INNER, uniform, context("W4A16"))
    told = context("W4A16")
    run([mixed()], pipeline, told)
    entry = told.report["allocation"]
    assert stored_bits(pipeline) == pytest.approx(entry["spent"])
    assert entry["spent"] <= entry["budget"] * (1 + 1e-9)
    assert entry["budget"] == pytest.approx(stored_bits(uniform))
    assert entry["errors"][entry["chosen"]] == min(entry["errors"].values())
    for name, layer in quantized_sites(pipeline.network).items():
        assert isinstance(layer, QuantLinear)
        assert layer.coded is not None
        assert layer.coded.scheme.format.bits == entry["bits"][name]
        assert told.report["sites"][name]["scheme"] == str(layer.coded.scheme)


@pytest.mark.parametrize("measure", ["bytes", "compute_bits"])
def test_every_measure_bounds_what_it_says(measure: str, pipeline: Pipeline, context: Make) -> None:
    told = context("W4A8")
    run([mixed(measure=measure)], pipeline, told)
    entry = told.report["allocation"]
    assert entry["measure"] == measure
    assert entry["spent"] <= entry["budget"] * (1 + 1e-9)


def test_impossible_budgets_and_floats_are_refused(pipeline: Pipeline, context: Make) -> None:
    with pytest.raises(ValueError, match="is too small|is below 2 bits"):
        run([mixed(budget=0.5)], pipeline, context("W4A16"))
    with pytest.raises(ValueError, match="for integers only, not for e2m1"):
        run([mixed()], FAMILIES[pipeline.family].tiny(), context("We2m1A16"))


def test_a_single_site_can_be_named_in_a_scheme() -> None:
    scheme = parse_scheme("W4A16/head=W8A16/blocks.1.mlp.fc2=W3A8")
    assert scheme.name == "W4A16/blocks.1.mlp.fc2=W3A8/head=W8A16"
    assert scheme.at("fc2", "blocks.1.mlp.fc2").weight_bits == 3
    assert scheme.at("fc2", "blocks.0.mlp.fc2").weight_bits == 4
    assert scheme.at("ada", "blocks.0.ada").activation is None
