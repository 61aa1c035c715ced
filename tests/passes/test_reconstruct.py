"""Reconstruction: every block ends no worse than it began, and in the same place after a kill."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bitscape.calibration import record
from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes import (
    Clip,
    Context,
    InSteps,
    QuantizeActivations,
    Reconstruct,
    UpOrDown,
    run,
    weight_sites,
)
from bitscape.structure import Pipeline

Make = Callable[..., Context]
ROUNDING = Reconstruct(UpOrDown(rate=0.05), steps=4)
OMNI = Reconstruct(Clip(rate=0.05), steps=4, transform=0.01, both=True)
JOINT = Reconstruct(
    InSteps(rate=0.05),
    steps=4,
    ranges=QuantizeActivations(index="step"),
    range_rate=0.01,
    mix=3,
)
CASES = [
    ("var", "W3A16", ROUNDING),
    ("dit", "W4A4", OMNI),
    ("dit", "W4A4,static", JOINT),
    ("var", "W6A6,static", JOINT),
    ("unet", "W4A6,static", JOINT),
]


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


@pytest.mark.parametrize(
    ("family", "scheme", "step"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES]
)
def test_every_site_is_coded_and_no_block_is_worse_than_nearest(
    scheme: str, step: Reconstruct, pipeline: Pipeline, context: Make
) -> None:
    told = context(scheme)
    run([step], pipeline, told)
    for site, _ in weight_sites(pipeline, told.scheme):
        layer = pipeline.network.get_submodule(site.name)
        assert isinstance(layer, QuantLinear | QuantConv2d)
        assert layer.coded is not None
    blocks = told.report["blocks"]
    coded = weight_sites(pipeline, told.scheme)
    names = [b.name for b in pipeline.adapter.blocks(pipeline.network)]
    held = [n for n in names if any(site.name.startswith(f"{n}.") for site, _ in coded)]
    assert [name for name in blocks if name in held] == held
    assert all(0 < entry["error"] <= entry["error_before"] for entry in blocks.values())
    assert any(entry["error"] < entry["error_before"] for entry in blocks.values())


def test_ranges_are_learnt_with_the_weights_and_kept(context: Make) -> None:
    pipeline = FAMILIES["dit"].tiny()
    data = record(pipeline, [0, 1, 2, 3], seed=7, batch=2, keep=3)
    told = Context(parse_scheme("W4A4,static"), data)
    run([JOINT], pipeline, told)
    layer = pipeline.network.get_submodule("blocks.0.mlp.fc1")
    assert isinstance(layer, QuantLinear) and layer.activation is not None
    learnt = layer.activation.table_scale
    assert learnt is not None
    assert len(learnt) == len({int(call.step) for call in data.calls})
    fixed = FAMILIES["dit"].tiny()
    run([replace(JOINT, range_rate=0.0)], fixed, told)
    other = fixed.network.get_submodule("blocks.0.mlp.fc1")
    assert isinstance(other, QuantLinear) and other.activation is not None
    assert other.activation.table_scale is not None
    assert bool((learnt != other.activation.table_scale).any())
    QuantizeActivations(index="step")(pipeline, told)
    assert layer.activation.table_scale is learnt


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


@pytest.mark.parametrize(("step", "scheme"), [(OMNI, "W3A8"), (JOINT, "W3A8,static")])
def test_a_killed_run_ends_in_the_same_result(
    step: Reconstruct, scheme: str, pipeline: Pipeline, context: Make, tmp_path: Path
) -> None:
    undisturbed = FAMILIES[pipeline.family].tiny()
    run([step], undisturbed, context(scheme))

    def killed(text: str, done: int, of: int) -> None:
        if text == "training blocks.1" and done == 2:
            raise KeyboardInterrupt

    victim = FAMILIES[pipeline.family].tiny()
    with pytest.raises(KeyboardInterrupt):
        run([step], victim, context(scheme, workspace=tmp_path, progress=killed))
    assert (tmp_path / "blocks" / "blocks.0.safetensors").is_file()
    run([step], pipeline, context(scheme, workspace=tmp_path))
    ours, expected = state(pipeline), state(undisturbed)
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[name], expected[name]) for name in ours)


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        Reconstruct(Clip(), steps=0)
    with pytest.raises(ValueError, match="moves the grid"):
        Reconstruct(UpOrDown(), transform=0.1)
