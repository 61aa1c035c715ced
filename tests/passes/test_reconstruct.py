"""Reconstruction: every block ends no worse than it began, and in the same place after a kill."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bitscape.calibration import CalibrationSet, Unit, record, stream
from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes import (
    Clip,
    Context,
    Greedy,
    InSteps,
    Learner,
    Nearest,
    QuantizeActivations,
    QuantizeWeights,
    Reconstruct,
    UpOrDown,
    reconstruct,
    run,
    weight_sites,
)
from bitscape.structure import Call, Pipeline

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
    assert all(entry["error"] > 0 for entry in blocks.values())
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


def one_call(pipeline: Pipeline) -> CalibrationSet:
    return record(pipeline, [0], seed=7, batch=1, keep=1)


def errors(quantized: Pipeline, plain: Pipeline, calls: Sequence[Call]) -> dict[str, float]:
    """Each block of `quantized`, behind those before it, against the same of the float network."""
    found: dict[str, float] = {}
    own = None
    for unit in stream(plain.network, plain.clocks, plain.adapter.blocks(plain.network), calls):
        entering = unit.inputs if own is None else own
        own = unit.feed.outputs(quantized.network, unit.block, entering)
        pairs = list(zip(own, unit.run(), strict=True))
        found[unit.block.name] = sum(float((y - t).square().mean()) for y, t in pairs) / len(pairs)
    return found


def test_the_error_is_that_against_the_float_stream(pipeline: Pipeline) -> None:
    plain, data = copy.deepcopy(pipeline), one_call(pipeline)
    told = Context(parse_scheme("W3A16"), data)
    nearest = QuantizeWeights(Nearest("mse"))
    run([Reconstruct(UpOrDown(rate=0.05), steps=3, rest=nearest)], pipeline, told)
    start = copy.deepcopy(plain)
    run([nearest], start, Context(parse_scheme("W3A16"), data))
    before, after = errors(start, plain, data.calls), errors(pipeline, plain, data.calls)
    blocks = told.report["blocks"]
    assert {name: entry["error"] for name, entry in blocks.items()} == pytest.approx(after)
    # The first block alone stands behind nothing that was learnt.
    assert blocks["blocks.0"]["error_before"] == pytest.approx(before["blocks.0"])
    assert after["blocks.0"] < before["blocks.0"]


@pytest.mark.parametrize(
    ("learner", "rounder"),
    [
        (UpOrDown(rate=1e6), Nearest("mse")),
        (UpOrDown(rate=1e6, greedy=True), Greedy()),
        (InSteps(rate=1e6, greedy=True), Greedy()),
    ],
    ids=["nearest", "gptq", "gptq in steps"],
)
def test_a_training_that_spoils_a_block_leaves_its_start(
    learner: Learner, rounder: Nearest | Greedy, pipeline: Pipeline
) -> None:
    data, rest = one_call(pipeline), QuantizeWeights(rounder)
    start = copy.deepcopy(pipeline)
    run([rest], start, Context(parse_scheme("W3A16"), data))
    told = Context(parse_scheme("W3A16"), data)
    run([Reconstruct(learner, steps=1, rest=rest)], pipeline, told)
    for entry in told.report["blocks"].values():
        assert entry["error"] == entry["error_before"]
    ours, expected = state(pipeline), state(start)
    assert ours.keys() == expected.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=0)


Descent = tuple[Unit, list[str], list[tuple[Tensor, ...]]]


def descents(
    step: Reconstruct, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> list[Descent]:
    """Each descent that `step` would make: its block, the sites that are trained, its targets."""
    found: list[Descent] = []

    def note(unit, optimizers, learned, aims, *rest):  # type: ignore[no-untyped-def]
        moved = {id(p) for o in optimizers for group in o.param_groups for p in group["params"]}
        trained = [n for n, each in learned.items() if {*map(id, each.parameters())} <= moved]
        found.append((unit, trained, aims))

    monkeypatch.setattr(reconstruct, "descend", note)
    run([step], pipeline, Context(parse_scheme("W2A16"), one_call(pipeline)))
    return found


NEAREST = QuantizeWeights(Nearest("mse"))


def test_stages_train_the_sites_of_their_roles_one_after_another(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    roles = {site.name: site.role.value for site in pipeline.adapter.sites(pipeline.network)}
    staged = Reconstruct(UpOrDown(), stages=(("qkv", "proj"), ("fc1",)), rest=NEAREST)
    found = [
        (unit.block.name, sorted(roles[name] for name in trained))
        for unit, trained, _ in descents(staged, pipeline, monkeypatch)
    ]
    stages = (["proj", "qkv"], ["fc1"])
    assert found == [(block, stage) for block in ("blocks.0", "blocks.1") for stage in stages]


@pytest.mark.parametrize("both", [False, True])
def test_a_block_is_compared_with_the_float_block_on_its_own_input_if_asked(
    both: bool, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = copy.deepcopy(pipeline)
    found = descents(Reconstruct(UpOrDown(), both=both, rest=NEAREST), pipeline, monkeypatch)
    assert [len(aims) for _, _, aims in found] == [1 + both] * 2
    for unit, _, aims in found:
        own = unit.feed.outputs(plain.network, unit.block, unit.inputs)
        assert all(map(torch.equal, aims[0], own)) == (unit.block.name == "blocks.0")
        if both:
            assert all(map(torch.equal, aims[1], own))


@pytest.mark.parametrize("size", [None, 3])
def test_samples_are_dealt_out_anew_if_asked(
    size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = FAMILIES["dit"].tiny()
    data = record(pipeline, [0, 1, 2], seed=7, batch=1, keep=2)
    read: list[Sequence[Call]] = []

    def note(
        network: object, clocks: object, blocks: object, calls: Sequence[Call]
    ) -> Iterator[Unit]:
        read.append(calls)
        return iter(())

    monkeypatch.setattr(reconstruct, "stream", note)
    told = Context(parse_scheme("W4A16"), data)
    run([Reconstruct(UpOrDown(), mix=size, rest=NEAREST)], pipeline, told)
    [calls] = read
    if size is None:
        assert list(calls) == list(data.calls)
    else:
        samples = sum(len(call.args[0]) for call in data.calls)
        counts = [len(call.args[0]) for call in calls]
        assert sum(counts) == samples
        assert set(counts[:-1]) == {size}
        assert any(len(call.step.unique()) > 1 for call in calls)
