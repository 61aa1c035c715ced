"""Low-rank branches of a network: exact at full rank, stored, counted."""

from collections.abc import Callable

import pytest
import torch

from bitscape.models import FAMILIES
from bitscape.nn import QuantLinear, quantized_sites
from bitscape.passes import Context, Nearest, QuantizeWeights, SplitLowRank, run
from bitscape.structure import Pipeline

Make = Callable[..., Context]


@pytest.fixture
def pipeline() -> Pipeline:
    """A tiny VAR."""
    return FAMILIES["var"].tiny()


@torch.no_grad()
def test_full_rank_makes_two_bits_nearly_exact(pipeline: Pipeline, context: Make) -> None:
    labels = torch.tensor([1, 4])
    expected = pipeline.latents(labels, seed=0)
    run([SplitLowRank(rank=1000), QuantizeWeights(Nearest())], pipeline, context("W8A16"))
    layers = [m for m in quantized_sites(pipeline.network).values() if isinstance(m, QuantLinear)]
    for layer in layers:
        assert layer.lowrank_down is not None
        assert layer.lowrank_down.shape[0] == min(layer.in_features, layer.out_features)
    torch.testing.assert_close(pipeline.latents(labels, seed=0), expected, rtol=0.02, atol=0.02)


def test_branch_loses_less_and_is_reported(pipeline: Pipeline, context: Make) -> None:
    told, plain = context("W3A16"), context("W3A16")
    run([SplitLowRank(rank=4), QuantizeWeights(Nearest())], pipeline, told)
    run([QuantizeWeights(Nearest())], FAMILIES["var"].tiny(), plain)
    for name, entry in told.report["sites"].items():
        assert entry["lowrank"]["rank"] == 4
        assert entry["lowrank"]["error"] <= entry["lowrank"]["error_first"]
        assert plain.report["sites"][name]["weight_error"] > 0


def test_rank_is_a_share_of_the_narrower_side(pipeline: Pipeline, context: Make) -> None:
    told = context("W4A16")
    run([SplitLowRank(share=0.25, rounds=1)], pipeline, told)
    layer = pipeline.network.get_submodule("blocks.0.mlp.fc1")
    assert isinstance(layer, QuantLinear)
    assert layer.lowrank_up is not None
    assert layer.lowrank_up.shape[1] == layer.in_features // 4
