"""Bits for each layer of one model under a budget."""

import pytest
import torch

from bitscape import api
from bitscape.models import FAMILIES
from bitscape.recipes import Calibration, find_recipe, with_options

RECIPE = with_options(
    find_recipe("mixed-w4a16"), ["bits=[2, 4, 8]", "base=rtn", "effective_bits=5"]
).model_copy(update={"calibration": Calibration(samples=2, batch=2, keep=2)})


@pytest.fixture(scope="module")
def model() -> api.Model:
    torch.manual_seed(0)
    return api.Model(FAMILIES["dit"].tiny())


def test_the_network_keeps_within_its_memory(model: api.Model) -> None:
    small = api.quantize(model, with_options(find_recipe("rtn-w4a16"), []))
    rest = 2 * sum(p.numel() for p in model.pipeline.network.parameters())
    sites = sum(layer["bytes"] for layer in small.report["layers"])
    weights = sum(
        model.pipeline.network.get_submodule(layer["name"]).weight.numel()
        for layer in small.report["layers"]
    )
    limit = rest - 2 * weights + sites
    found = api.plan_layers(model, RECIPE, memory=limit)
    assert found.memory_bytes <= limit
    assert set(found.bits) == {layer["name"] for layer in small.report["layers"]}
    assert found.uniform_bits == 4
    # The option that is printed leads to the same bits.
    kept = RECIPE.model_copy(update={"options": {"bits": (2, 4, 8), "base": "rtn"}})
    again = api.quantize(model, with_options(kept, [found.option]))
    assert again.report["method"]["allocation"]["bits"] == found.bits


def test_compute_bits_count_products_of_widths(model: api.Model) -> None:
    weights = {name: layer.numel() for name, layer in model.pipeline.network.named_parameters()}
    limit = 16 * 5e-9 * sum(weights.values())
    found = api.plan_layers(model, RECIPE, compute_bits=limit)
    total = sum(16 * bits * weights[f"{site}.weight"] for site, bits in found.bits.items())
    assert found.compute_bits == pytest.approx(total / 1e9)
    assert found.compute_bits <= limit


def test_wrong_plans_are_refused(model: api.Model) -> None:
    with pytest.raises(ValueError, match="need mixed"):
        api.plan_layers(model, find_recipe("gptq-w4a16"), memory=1e6)
    with pytest.raises(ValueError, match="stays at 16 bits"):
        api.plan_layers(model, RECIPE, memory=10)
    with pytest.raises(ValueError, match="give one of"):
        api.plan_layers(model, RECIPE, memory=1e6, compute_bits=1.0)
