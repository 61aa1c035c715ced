"""The stream: block by block it computes what the whole network does."""

import copy

import pytest
import torch
from torch import Tensor, nn

from bitscape.calibration import CalibrationSet, Hessian, hessian_of, hessians, stream
from bitscape.nn import QuantLinear
from bitscape.structure import (
    Block,
    Call,
    Kind,
    Pipeline,
    StepClock,
    chain,
    constant_step,
    invoke,
    net_of,
)


def block_inputs(pipeline: Pipeline, calls: tuple[Call, ...], name: str) -> list[Tensor]:
    """What enters the block `name` when the whole network runs."""
    seen: list[Tensor] = []
    module = pipeline.network.get_submodule(name)
    hook = module.register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
    with torch.no_grad():
        for call in calls:
            if call.net == net_of(name, pipeline.clocks):
                invoke(pipeline.network, pipeline.clocks, call)
    hook.remove()
    return seen


@torch.no_grad()
def disturb(pipeline: Pipeline, block: str) -> None:
    """Change the weights of a block, as quantization would."""
    for module in pipeline.network.get_submodule(block).modules():
        if isinstance(module, QuantLinear):
            assert module.weight is not None
            module.weight.mul_(1.1)


def test_later_blocks_see_what_earlier_ones_have_become(
    pipeline: Pipeline, calibration: CalibrationSet
) -> None:
    blocks = pipeline.adapter.blocks(pipeline.network)
    teacher = copy.deepcopy(pipeline)
    units = stream(pipeline.network, pipeline.clocks, blocks, calibration.calls, teacher.network)
    for unit in units:
        now = block_inputs(pipeline, calibration.calls, unit.block.name)
        full = block_inputs(teacher, calibration.calls, unit.block.name)
        assert unit.full is not None
        for ours, expected in ((unit.inputs, now), (unit.full, full)):
            torch.testing.assert_close(list(ours), expected, rtol=1e-5, atol=1e-6)
        disturb(pipeline, unit.block.name)
    assert not any(torch.equal(a, b) for a, b in zip(now, full, strict=True))


def test_hessians_of_a_block_are_those_of_a_whole_sweep(
    pipeline: Pipeline, calibration: CalibrationSet
) -> None:
    sites = {site.name: site for site in pipeline.adapter.sites(pipeline.network)}
    blocks = pipeline.adapter.blocks(pipeline.network)
    for unit in stream(pipeline.network, pipeline.clocks, blocks, calibration.calls):
        inside = [
            site
            for name, site in sites.items()
            if name.startswith(unit.block.name) and site.kind is not Kind.ATTEND
        ]
        kept: dict[str, Hessian] = {s.name: hessian_of(pipeline.network, s.name) for s in inside}
        unit.observe(kept)
        swept = hessians(pipeline, calibration.calls, inside)
        for name, hessian in kept.items():
            torch.testing.assert_close(hessian.matrix(), swept[name].matrix())


class Skipping(nn.Module):
    """Two blocks with something in between, and a third that reads both."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(a)
        return self.c(torch.cat([b, a], dim=1)) + x


GRAPH = [Block("a"), Block("b", ("a",)), Block("c", ("b", "a"))]


def test_a_skip_is_read_as_it_has_become() -> None:
    network, clocks = Skipping().requires_grad_(False), {"": StepClock()}
    call = Call("", constant_step(0), (torch.randn(3, 2),))
    for unit in stream(network, clocks, GRAPH, [call], copy.deepcopy(network)):
        if unit.block.name == "a":
            network.a.weight.mul_(2)
    assert unit.full is not None
    x = network.a(call.args[0])
    torch.testing.assert_close(unit.inputs[0], torch.cat([network.b(x), x], dim=1))
    assert not torch.equal(unit.inputs[0], unit.full[0])


def test_blocks_that_read_something_else_are_refused() -> None:
    network, clocks = Skipping(), {"": StepClock()}
    call = Call("", constant_step(0), (torch.ones(1, 2),))
    with pytest.raises(ValueError, match="block c does not read the output of b"):
        list(stream(network, clocks, chain(["a", "b", "c"]), [call]))
    with pytest.raises(ValueError, match="block b reads 'x', which is no earlier block"):
        list(stream(network, clocks, [Block("a"), Block("b", ("a", "x"))], [call]))
