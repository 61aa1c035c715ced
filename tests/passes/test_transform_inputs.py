"""Changes of basis: exact in every family, folded where a producer absorbs them, taken back."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from bitscape.calibration import record
from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.nn import QuantConv2d, QuantLinear, insert, quantized_sites
from bitscape.passes import (
    Context,
    Dilate,
    FaithfulGain,
    Gain,
    MeanSmooth,
    QuantizeActivations,
    Rotate,
    Rule,
    Smooth,
    Transform,
    TransformInputs,
    apply_transform,
    run,
)
from bitscape.passes.quantize_weights import within_splits
from bitscape.passes.transform_inputs import sinks
from bitscape.quantizers import to_groups
from bitscape.structure import Absorb, Pipeline, Role, Site, invoke

Make = Callable[..., Context]
RULES: dict[str, Rule] = {
    "smooth": Smooth(),
    "awq": MeanSmooth((0.5,)),
    "rotate": Rotate(),
    "balance and rotate": Rotate((0.5,)),
    "dilate": Dilate(balanced=False),
    "balanced dilation": Dilate(),
    "faithful gain": FaithfulGain(),
    "gain": Gain(alphas=(0.5,)),
}


@pytest.fixture(params=["var", "llamagen"])
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    """Tiny pipelines of a family whose norms take scale and shift, and of one that takes scales."""
    return FAMILIES[request.param].tiny()


def first(rule: Rule, **options: object) -> TransformInputs:
    return TransformInputs((rule,), QuantizeActivations(index="run"), accept="first", **options)


def outputs(pipeline: Pipeline, context: Context) -> list[torch.Tensor]:
    assert context.calibration is not None
    with torch.no_grad():
        calls = context.calibration.calls
        return [invoke(pipeline.network, pipeline.clocks, call) for call in calls]


def linears(pipeline: Pipeline) -> list[QuantLinear]:
    sites = quantized_sites(pipeline.network).values()
    return [layer for layer in sites if isinstance(layer, QuantLinear)]


@pytest.mark.parametrize("rule", RULES)
def test_function_stays_what_it_was(rule: str, pipeline: Pipeline, context: Make) -> None:
    told = context("W4A4" if "rotate" in rule else "W4A8,static")
    before = outputs(pipeline, told)
    weights = [layer.weight.clone() for layer in _inserted(pipeline)]
    run([first(RULES[rule], online=True, sequential=False)], pipeline, told)
    changed = [
        not torch.equal(a, b.weight) for a, b in zip(weights, linears(pipeline), strict=True)
    ]
    assert any(changed)
    for got, expected in zip(outputs(pipeline, told), before, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)


def test_dilation_widens_no_range_of_a_whole_matrix(pipeline: Pipeline, context: Make) -> None:
    told = context("FP8")
    before = [layer.weight.clone() for layer in _inserted(pipeline)]
    run([first(Dilate(balanced=False), online=True, sequential=False)], pipeline, told)
    pairs = list(zip([layer.weight for layer in linears(pipeline)], before, strict=True))
    assert any(not torch.equal(W, was) for W, was in pairs)
    assert all(W.abs().max() <= was.abs().max() * (1 + 1e-6) for W, was in pairs)


def _inserted(pipeline: Pipeline) -> list[QuantLinear]:
    insert(pipeline.network, pipeline.adapter.sites(pipeline.network), pipeline.clocks)
    return linears(pipeline)


@pytest.mark.parametrize("rule", [Smooth(), Dilate(balanced=False)], ids=["smooth", "dilate"])
def test_convolutions_keep_their_function_and_fold_where_that_is_exact(rule: Rule) -> None:
    pipeline = FAMILIES["unet"].tiny()
    data = record(pipeline, [0, 1], seed=7, batch=2, keep=2)
    told = Context(parse_scheme("W4A8,static"), data)
    before = outputs(pipeline, told)
    _inserted(pipeline)
    sites = quantized_sites(pipeline.network)
    convs = {name: la for name, la in sites.items() if isinstance(la, QuantConv2d)}
    old = {name: layer.weight.clone() for name, layer in convs.items()}
    run([first(rule, online=True, sequential=False)], pipeline, told)
    for got, expected in zip(outputs(pipeline, told), before, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)
    changed = {name for name, layer in convs.items() if not torch.equal(layer.weight, old[name])}
    assert any(name.endswith("proj_in") for name in changed)
    assert any(name.endswith("conv1") and convs[name].site.splits for name in changed)
    for name in changed:
        behind_norm = name.endswith("proj_in")
        assert (convs[name].scale is None) == behind_norm
        assert told.report["sites"][name]["transform"]["folded"] == behind_norm
        if isinstance(rule, Dilate):
            limit = within_splits(told.scheme.at("conv").weight, convs[name].site, convs[name])
            now, was = (
                to_groups(W.flatten(1), limit.granularity) for W in (convs[name].weight, old[name])
            )
            torch.testing.assert_close(now.abs().amax(dim=-1), was.abs().amax(dim=-1))


def test_producers_take_over_all_they_can(pipeline: Pipeline, context: Make) -> None:
    run([first(FaithfulGain(), sequential=False)], pipeline, context("W4A8,static"))
    for fold in pipeline.adapter.folds(pipeline.network):
        if fold.takes >= {Absorb.SCALE, Absorb.SHIFT}:
            for name in fold.consumers:
                layer = pipeline.network.get_submodule(name)
                assert layer.scale is None
                assert layer.shift is None
    run_time = [layer for layer in linears(pipeline) if layer.scale is not None]
    assert not run_time


def test_values_are_rotated_offline(pipeline: Pipeline, context: Make) -> None:
    told = context("W4A4")
    before = outputs(pipeline, told)
    folds = [fold for fold in pipeline.adapter.folds(pipeline.network) if fold.turn is not None]
    _inserted(pipeline)
    for fold in folds:
        layers = [pipeline.network.get_submodule(name) for name in fold.consumers]
        width = layers[0].in_features
        signs = 1.0 - 2.0 * (torch.arange(width) % 3 == 0)
        scale = torch.linspace(0.5, 2.0, width)
        old = layers[0].weight.clone()
        apply_transform(pipeline.network, fold, Transform(scale=scale, order=fold.run, signs=signs))
        assert layers[0].rotation == 0
        assert not torch.allclose(layers[0].weight, old)
    for got, expected in zip(outputs(pipeline, told), before, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)


def test_rounding_for_the_time_being_is_taken_back(pipeline: Pipeline, context: Make) -> None:
    run([TransformInputs((Smooth(),), QuantizeActivations())], pipeline, context("W4A8,static"))
    assert all(layer.delta is None and layer.activation is None for layer in linears(pipeline))


def test_the_best_is_never_worse_than_nothing_and_is_reported(
    pipeline: Pipeline, context: Make
) -> None:
    told = context("W4A4")
    rules = (Smooth((0.25, 0.75)), Rotate(), Dilate(), Gain(alphas=(0.5,), rounds=1))
    run([TransformInputs(rules, QuantizeActivations(), online=True)], pipeline, told)
    entries = [e["transform"] for e in told.report["sites"].values() if "transform" in e]
    assert entries
    for entry in entries:
        assert entry["output_error"] <= entry["output_error_before"]
        assert entry["tried"] > 4
    assert any(entry["choice"] != "none" for entry in entries)


def test_nothing_is_left_for_run_time_unless_wanted(pipeline: Pipeline, context: Make) -> None:
    rules = (Smooth((0.75,)), Rotate())
    run(
        [TransformInputs(rules, QuantizeActivations(), sequential=False)], pipeline, context("W4A4")
    )
    for layer in linears(pipeline):
        assert layer.scale is None
        assert layer.shift is None
        assert layer.rotation == 0


def test_gauge_is_free(pipeline: Pipeline, context: Make) -> None:
    told = context("W4A8,static")
    fold = next(f for f in pipeline.adapter.folds(pipeline.network) if Absorb.SCALE in f.takes)
    views = []
    step = first(Smooth())

    class Watch:
        def __call__(self, view):  # type: ignore[no-untyped-def]
            views.append(view)
            yield Transform()

    run([TransformInputs((Watch(),), step.activations)], pipeline, told)
    view = views[0]
    width = view.sample.width
    scale = torch.linspace(0.5, 2.0, width)
    once, twice = (view.error(Transform("s", scale * c)) for c in (1.0, 4.0))
    assert twice == pytest.approx(once, rel=1e-4)
    assert fold.consumers


def test_gain_without_gain_is_smoothquant(pipeline: Pipeline, context: Make) -> None:
    """t = 1 and no shift leave SmoothQuant's scale."""
    told = context("W4A8,static")

    class Check:
        def __call__(self, view):  # type: ignore[no-untyped-def]
            [smooth] = Smooth((0.5,))(view)
            start = next(iter(Gain(alphas=(0.5,), shift=False)(view)))
            assert torch.equal(start.scale, smooth.scale)
            assert start.shift is None
            ones = torch.ones(view.sample.width)
            again = smooth.then("again", ones)
            assert torch.equal(again.scale, smooth.scale)
            yield smooth

    run([first(Check(), sequential=False)], pipeline, told)


def test_dead_channels_stay_finite(pipeline: Pipeline, context: Make) -> None:
    told = context("W4A8,static")

    class Kill:
        def __call__(self, view):  # type: ignore[no-untyped-def]
            rows = view.sample.rows
            rows.X[:, 0] = rows.low[:, 0] = rows.high[:, 0] = 0.0
            for W in view.weights:
                W[:, 1] = 0.0
            for rule in RULES.values():
                for candidate in rule(view):
                    assert candidate.scale is None or candidate.scale.isfinite().all()
                    assert candidate.scale is None or (candidate.scale > 0).all()
                    assert candidate.shift is None or candidate.shift.isfinite().all()
            yield Transform()

    run([first(Kill(), sequential=False)], pipeline, told)


def wanted(pipeline: Pipeline, scheme: str, step: TransformInputs) -> dict[str, dict[str, object]]:
    """The report's entry of each site whose inputs the pass looked at, from calls of one image."""
    told = Context(parse_scheme(scheme), record(pipeline, [0], seed=7, batch=1, keep=1))
    run([step], pipeline, told)
    entries = told.report["sites"].items()
    return {name: entry["transform"] for name, entry in entries if "transform" in entry}


@pytest.fixture
def var() -> Pipeline:
    """A tiny VAR: what the options of the pass mean does not depend on the family."""
    return FAMILIES["var"].tiny()


def test_folds_of_other_roles_are_left_alone(var: Pipeline) -> None:
    roles = {site.name: site.role.value for site in var.adapter.sites(var.network)}
    found = wanted(var, "W4A4", first(Smooth(), roles=("qkv",), sequential=False, rows=8))
    assert {roles[name] for name in found} == {"qkv"}
    moved = [la.site.role.value for la in linears(var) if la.scale is not None]
    assert set(moved) <= {"qkv"}


def test_work_at_run_time_has_to_save_its_toll() -> None:
    folded = {}
    for toll in (0.0, 0.999):
        rules = (Smooth(), Rotate())
        step = TransformInputs(
            rules, QuantizeActivations(), online=True, toll=toll, sequential=False, rows=32
        )
        folded[toll] = {e["folded"] for e in wanted(FAMILIES["var"].tiny(), "W4A4", step).values()}
    assert folded == {0.0: {True, False}, 0.999: {True}}


@pytest.mark.parametrize(("seconds", "tried"), [(None, 4), (1e-9, 2)])
def test_a_budget_bounds_the_candidates(seconds: float | None, tried: int, var: Pipeline) -> None:
    rules = (Smooth((0.25, 0.5, 0.75)),)
    step = TransformInputs(rules, QuantizeActivations(), sequential=False, rows=8, seconds=seconds)
    # x itself counts, and each fold may try one candidate.
    assert {entry["tried"] for entry in wanted(var, "W4A4", step).values()} == {tried}


def test_later_blocks_read_rounded_ones_if_that_is_wanted() -> None:
    errors = []
    for sequential in (True, False):
        step = TransformInputs((), QuantizeActivations(), sequential=sequential, rows=32)
        found = wanted(FAMILIES["var"].tiny(), "W2A4", step)
        errors.append({name: entry["output_error_before"] for name, entry in found.items()})
    assert errors[0].keys() == errors[1].keys()
    for name, error in errors[0].items():
        if name.startswith("blocks.0."):
            assert error == errors[1][name]
        elif name.startswith("blocks.1."):
            assert error != errors[1][name]


def test_sinks_are_the_leading_tokens_apart() -> None:
    alone, first_run, later = (Site("fc", Role.FC1, runs=runs) for runs in ((), (0, 1), (0, 1, 5)))
    vector = replace(first_run, tokens=False)
    var, dit = FAMILIES["var"].tiny(), FAMILIES["dit"].tiny()
    found = [sinks(site, var) for site in (alone, first_run, later, vector)]
    assert found == [1, 1, 5, 0]
    assert sinks(later, dit) == 0
