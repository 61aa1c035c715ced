"""One sweep fills the statistics of all sites with their prologued inputs."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from bitscape.calibration import (
    CalibrationSet,
    Unit,
    Whole,
    hessians,
    mixed,
    observe,
    replay,
    site_input,
)
from bitscape.calibration.stream import Feed
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.structure import (
    Block,
    Call,
    Kind,
    Pipeline,
    Role,
    Site,
    StepClock,
    constant_step,
    net_of,
)


class Kept:
    """Every input, and the step it came at."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.inputs: list[tuple[Tensor, Tensor]] = []

    def update(self, u: Tensor, step: Tensor) -> None:
        self.inputs.append((u.clone(), step.clone()))


def weighted(pipeline: Pipeline) -> list[Site]:
    """The sites whose inputs meet a weight."""
    sites = pipeline.adapter.sites(pipeline.network)
    return [site for site in sites if site.kind is not Kind.ATTEND]


def test_every_call_reaches_every_site(pipeline: Pipeline, calibration: CalibrationSet) -> None:
    sites = weighted(pipeline)
    kept = observe(pipeline, calibration.calls, sites, Kept)
    assert list(kept) == [site.name for site in sites]
    for site in sites:
        net = net_of(site.name, pipeline.clocks)
        calls = [call for call in calibration.calls if call.net == net]
        for (u, step), call in zip(kept[site.name].inputs, calls, strict=True):
            assert u.ndim == (3 if site.tokens else 2)
            assert torch.equal(step, call.step)


def test_hooks_and_clocks_are_gone_afterwards(
    pipeline: Pipeline, calibration: CalibrationSet
) -> None:
    observe(pipeline, calibration.calls, weighted(pipeline), Kept)
    assert not any(module._forward_pre_hooks for module in pipeline.network.modules())
    assert all(int(clock.index) == -1 for clock in pipeline.clocks.values())


def test_hessian_is_of_the_prologued_input(pipeline: Pipeline, calibration: CalibrationSet) -> None:
    site = next(s for s in pipeline.adapter.sites(pipeline.network) if s.role is Role.FC1)
    before = hessians(pipeline, calibration.calls, [site])[site.name].matrix().clone()
    layer = pipeline.network.get_submodule(site.name)
    assert isinstance(layer, QuantLinear)
    scale = torch.linspace(0.5, 2, layer.in_features)
    layer.affine(scale)
    after = hessians(pipeline, calibration.calls, [site])[site.name].matrix()
    torch.testing.assert_close(after, before / scale / scale[:, None], rtol=1e-4, atol=1e-5)


def test_rows_of_a_convolution_meet_its_matrix() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3, stride=2, padding=1, bias=False)
    clock = StepClock()
    layer = QuantConv2d.of(conv, Site("conv", Role.CONV, Kind.CONV), clock)
    x = torch.randn(2, 3, 8, 8)
    rows = site_input(layer, x)
    expected = conv(x).flatten(2).transpose(1, 2)
    torch.testing.assert_close(rows @ conv.weight.flatten(1).T, expected, rtol=1e-4, atol=1e-5)


class Stepping(nn.Module):
    """Reads its clock."""

    def __init__(self, clock: StepClock) -> None:
        super().__init__()
        self.clock = clock
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x + self.clock.read()


class Failing(nn.Module):
    """Cannot be run."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        raise ArithmeticError("on purpose")


def test_replaying_twice_leaves_mixed_calls_as_they_were() -> None:
    clock = StepClock()
    calls = [Call("", constant_step(step), (torch.full((4, 2), float(step)),)) for step in range(6)]
    dealt = mixed(calls, 4, torch.Generator().manual_seed(0))
    before = [call.step.clone() for call in dealt]
    for _ in range(2):
        replay(Stepping(clock), {"": clock}, dealt)
    assert all(torch.equal(c.step, step) for c, step in zip(dealt, before, strict=True))


def test_nothing_runs_where_nothing_is_watched() -> None:
    network = Failing()
    place = Whole(network, {"": StepClock()}, [Call("", constant_step(0), (torch.zeros(1),))])
    place.observe({})
    replace(place, teacher=network).observe_both({})
    # The feed of this unit has no arguments for its one input.
    unit = Unit(Block("inner"), (torch.zeros(1),), None, network, None, Feed({}, []))
    unit.observe({})
    unit.observe_both({})
