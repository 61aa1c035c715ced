"""Mixed precision: within the budget, no worse than uniform, and said in the report."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bitscape.calibration import CalibrationSet, record
from bitscape.formats import QuantScheme, parse_scheme, tensor_cost
from bitscape.models import FAMILIES
from bitscape.nn import QuantLinear, insert, quantized_sites
from bitscape.passes import (
    Context,
    MixedPrecision,
    Nearest,
    QuantizeWeights,
    run,
    weight_sites,
)
from bitscape.passes.mixed_precision import narrowed, outputs
from bitscape.quantizers import dequantize_weight
from bitscape.structure import Call, Pipeline, Site, StepClock, constant_step

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


def test_a_budget_leaves_the_width_of_the_scheme_alone(pipeline: Pipeline, context: Make) -> None:
    told = context("W7A16")
    run([MixedPrecision(INNER, 8.0, rounder=Nearest("mse"), bits=(4,), calls=1)], pipeline, told)
    entry = told.report["allocation"]
    assert entry["budget"] == 8.0
    assert set(entry["bits"].values()) == {4}


class Noting(nn.Module):
    """Notes on which device its clock and its input are."""

    def __init__(self, clock: StepClock) -> None:
        super().__init__()
        self.clock = clock
        self.weight = nn.Parameter(torch.ones(1))
        self.seen: list[torch.device] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen += [x.device, self.clock.index.device]
        return x


def test_calls_run_where_the_network_lives(pipeline: Pipeline) -> None:
    network = Noting(StepClock()).to("meta")
    toy = replace(pipeline, network=network, clocks={"": network.clock})
    [found] = outputs(toy, [Call("", constant_step(0), (torch.zeros(2),))])
    assert found.is_meta
    assert network.seen == [torch.device("meta")] * 2


def test_schemes_are_narrowed_whatever_their_name_says(pipeline: Pipeline, context: Make) -> None:
    base = context("W4A8").scheme
    (first, _), (second, _), *_ = weight_sites(pipeline, base)
    read = parse_scheme("MXFP4").default.activation
    own = replace(base.at(first.role, first.name), activation=read)
    base = replace(base, roles=(*base.roles, (first.name, own)))
    sites = dict(weight_sites(pipeline, base))
    bits = {site.name: 2 if site is first else 3 for site in sites}
    found = mixed().scheme(base, sites, bits)
    for site in sites:
        chosen = found.at(site.role, site.name)
        assert chosen.weight_bits == bits[site.name]
        assert chosen.activation == base.at(site.role, site.name).activation
    assert found.at(first.role, first.name).activation == read
    assert found.at(second.role, second.name).activation != read


@pytest.fixture
def dit() -> Pipeline:
    """A tiny DiT, whose outputs are no logits."""
    return FAMILIES["dit"].tiny()


def one_call(pipeline: Pipeline, batch: int = 2) -> CalibrationSet:
    return record(pipeline, list(range(batch)), seed=7, batch=batch, keep=1)


def test_losses_are_those_of_the_network_with_one_site_rounded(dit: Pipeline) -> None:
    data, scheme = one_call(dit), parse_scheme("W4A16")
    sites = dict(list(weight_sites(dit, scheme))[1:3])
    insert(dit.network, list(sites), dit.clocks)
    before = {name: t.clone() for name, t in dit.network.state_dict().items()}
    probes = data.calls[:1]
    with torch.no_grad():
        found = mixed().sensitivity(dit, Context(scheme, data), sites, probes)
    after = dit.network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    [plain] = outputs(dit, probes)
    for site, weight in sites.items():
        for bits in mixed().bits:
            narrow = narrowed(weight, bits)
            twin = copy.deepcopy(dit)
            layer = twin.network.get_submodule(site.name)
            rounded = Nearest("mse")(layer.weight.detach(), narrow)
            W_hat = dequantize_weight(rounded.codes, rounded.grid, narrow)
            layer.weight.data.copy_(W_hat)
            assert found[site.name][bits] == pytest.approx([distance(twin, probes, plain)])


def distance(pipeline: Pipeline, calls: Sequence[Call], plain: Tensor) -> float:
    """The mean over samples of |y - y_0|^2 / |y_0|^2."""
    [y] = outputs(pipeline, calls)
    samples = [float((a - b).norm() / b.norm()) ** 2 for a, b in zip(y, plain, strict=True)]
    return sum(samples) / len(samples)


def test_the_error_of_a_choice_is_that_of_a_quantized_copy(dit: Pipeline) -> None:
    data, scheme = one_call(dit), parse_scheme("W3A16")
    before = {name: t.clone() for name, t in dit.network.state_dict().items()}
    context = Context(scheme, data)
    found = mixed().error(dit, context, scheme, data.calls[:1])
    after = dit.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert context.report == {}
    [plain] = outputs(dit, data.calls[:1])
    run(INNER, dit, context)
    assert found == pytest.approx(distance(dit, data.calls[:1], plain))


def spied(
    monkeypatch: pytest.MonkeyPatch, better: str, seen: dict[str, list[Call]]
) -> MixedPrecision:
    """The pass with made-up losses; the calls that it would have measured on go to `seen`."""

    def sensitivity(
        step: MixedPrecision,
        pipeline: Pipeline,
        context: Context,
        sites: Mapping[Site, object],
        probes: Sequence[Call],
    ) -> dict[str, dict[int, list[float]]]:
        seen["probes"] = list(probes)
        # The first site loses most, so that no uniform width is the answer.
        return {
            site.name: {b: [(1000.0 if i == 0 else 1.0) / b] for b in step.bits}
            for i, site in enumerate(sites)
        }

    def error(
        step: MixedPrecision,
        pipeline: Pipeline,
        context: Context,
        scheme: QuantScheme,
        judges: Sequence[Call],
    ) -> float:
        seen["judges"] = list(judges)
        widths = {weight.format.bits for _, weight in weight_sites(pipeline, scheme)}
        return 0.25 if (len(widths) == 1) == (better == "uniform") else 0.5

    monkeypatch.setattr(MixedPrecision, "sensitivity", sensitivity)
    monkeypatch.setattr(MixedPrecision, "error", error)
    return replace(mixed(calls=3), inner=())


@pytest.mark.parametrize("better", ["mixed", "uniform"])
def test_the_choice_that_errs_less_is_made(
    better: str, dit: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Context(parse_scheme("W4A16"), one_call(dit))
    run([spied(monkeypatch, better, {})], dit, told)
    entry = told.report["allocation"]
    assert entry["chosen"] == better
    assert sorted(entry["errors"].values()) == [0.25, 0.5]
    assert entry["errors"][better] == 0.25
    assert (len(set(entry["bits"].values())) == 1) == (better == "uniform")


@pytest.mark.parametrize(("count", "sizes"), [(12, (3, 3)), (4, (2, 2)), (1, (1, 1))])
def test_choices_are_judged_on_other_calls_than_they_were_made_by(
    count: int, sizes: tuple[int, int], dit: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    [call, *_] = one_call(dit).calls
    calls = tuple(replace(call) for _ in range(count))
    seen: dict[str, list[Call]] = {}
    told = Context(parse_scheme("W4A16"), CalibrationSet(calls, {"batch": 2}))
    run([spied(monkeypatch, "mixed", seen)], dit, told)
    assert (len(seen["probes"]), len(seen["judges"])) == sizes
    if count > 1:
        assert not {*map(id, seen["probes"])} & {*map(id, seen["judges"])}
