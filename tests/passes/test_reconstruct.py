"""Reconstruction: every block ends no worse than it began, and in the same place after a kill."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bitscape.models import FAMILIES
from bitscape.nn import QuantLinear, quantized_sites
from bitscape.passes import Clip, Context, Reconstruct, UpOrDown, run
from bitscape.structure import Pipeline

Make = Callable[..., Context]
ROUNDING = Reconstruct(UpOrDown(rate=0.05), steps=4)
OMNI = Reconstruct(Clip(rate=0.05), steps=4, transform=0.01, both=True)
CASES = [("var", "W3A16", ROUNDING), ("dit", "W4A4", OMNI)]


@pytest.fixture
def family() -> str:
    """One family where one is enough: training is slow."""
    return "var"


@pytest.fixture
def pipeline(family: str) -> Pipeline:
    """A tiny pipeline in full precision."""
    return FAMILIES[family].tiny()


def state(pipeline: Pipeline) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in pipeline.network.state_dict().items()}


@pytest.mark.parametrize(("family", "scheme", "step"), CASES, ids=[case[1] for case in CASES])
def test_every_site_is_coded_and_no_block_is_worse_than_nearest(
    scheme: str, step: Reconstruct, pipeline: Pipeline, context: Make
) -> None:
    told = context(scheme)
    run([step], pipeline, told)
    for layer in quantized_sites(pipeline.network).values():
        assert isinstance(layer, QuantLinear)
        assert layer.coded is not None
    blocks = told.report["blocks"]
    assert list(blocks) == [b.name for b in pipeline.adapter.blocks(pipeline.network)]
    assert all(0 < entry["error"] <= entry["error_before"] for entry in blocks.values())
    assert any(entry["error"] < entry["error_before"] for entry in blocks.values())


def test_a_learnt_basis_leaves_no_prologue_where_producers_take_it(
    pipeline: Pipeline, context: Make
) -> None:
    told = context("W4A4")
    run([OMNI], pipeline, told)
    layer = pipeline.network.get_submodule("blocks.0.mlp.fc1")
    assert isinstance(layer, QuantLinear)
    assert "transform" in told.report["sites"]["blocks.0.mlp.fc1"]
    absorbed = [fold for fold in pipeline.adapter.folds(pipeline.network) if len(fold.takes) > 1]
    for fold in absorbed:
        for name in fold.consumers:
            consumer = pipeline.network.get_submodule(name)
            assert isinstance(consumer, QuantLinear)
            assert consumer.scale is None


def test_a_killed_run_ends_in_the_same_result(
    pipeline: Pipeline, context: Make, tmp_path: Path
) -> None:
    step = OMNI
    undisturbed = FAMILIES[pipeline.family].tiny()
    run([step], undisturbed, context("W3A8"))

    def killed(text: str, done: int, of: int) -> None:
        if text == "training blocks.1" and done == 2:
            raise KeyboardInterrupt

    victim = FAMILIES[pipeline.family].tiny()
    with pytest.raises(KeyboardInterrupt):
        run([step], victim, context("W3A8", workspace=tmp_path, progress=killed))
    assert (tmp_path / "blocks" / "blocks.0.safetensors").is_file()
    run([step], pipeline, context("W3A8", workspace=tmp_path))
    ours, expected = state(pipeline), state(undisturbed)
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[name], expected[name]) for name in ours)


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        Reconstruct(Clip(), steps=0)
    with pytest.raises(ValueError, match="moves the grid"):
        Reconstruct(UpOrDown(), transform=0.1)
