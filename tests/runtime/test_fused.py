"""A feed-forward part that runs as a whole equals its layers one after the other."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from bitscape.formats import parse_scheme
from bitscape.nn import QuantLinear, insert
from bitscape.quantizers import bounds_grid, minmax, quantize_weight, weight_grid
from bitscape.runtime import Capabilities, pack_network
from bitscape.runtime.fused import FusedFeedForward
from bitscape.structure import FeedForward, Role, Site, StepClock

pytestmark = pytest.mark.skipif(
    not Capabilities.probe().vnni, reason="this machine lacks the instructions"
)


def block(
    text: str = "W8A8,static", *, steps: int = 1, approximate: str = "tanh", between: str = ""
) -> tuple[nn.Module, StepClock]:
    """A network with one feed-forward part; its ranges differ by step when `steps` is not 1.

    `between` is an edit of the second layer's input.
    """
    torch.manual_seed(0)
    net = nn.Sequential(FeedForward(64, 256, approximate)).requires_grad_(False)
    clock = StepClock()
    sites = [Site("0.fc1", Role.FC1), Site("0.fc2", Role.FC2)]
    insert(net, sites, {"": clock})
    second = net.get_submodule("0.fc2")
    assert isinstance(second, QuantLinear)
    if between == "scale":
        second.affine(torch.rand(256) + 0.5)
    if between == "rotation":
        second.rotate(256, torch.ones(256))
    scheme = parse_scheme(text).default
    assert scheme.weight is not None and scheme.activation is not None
    for site, bounds in zip(sites, ((-3.0, 3.5), (-0.2, 2.0)), strict=True):
        layer = net.get_submodule(site.name)
        assert isinstance(layer, QuantLinear)
        W = layer.effective_weight()
        grid = weight_grid(W, scheme.weight, minmax)
        layer.set_codes(quantize_weight(W, grid, scheme.weight), grid, scheme.weight)
        quantizer = layer.quantize_activation(scheme.activation)
        if not scheme.activation.dynamic:
            reach = torch.linspace(1.0, 1.5, steps).view(-1, 1)
            low, high = bounds[0] * reach, bounds[1] * reach
            table = bounds_grid(low, high, scheme.activation.format, scheme.activation.symmetric)
            quantizer.set_table(table.scale, table.zero, torch.arange(7) % steps)
    return net, clock


@pytest.mark.parametrize("step", [[[0]], [[2]], [[0, 1, 2, 1, 0]]])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("approximate", ["tanh", "none"])
def test_it_computes_what_the_layers_do(
    approximate: str, steps: int, step: list[list[int]]
) -> None:
    (net, clock), (whole, own) = (block(steps=steps, approximate=approximate) for _ in range(2))
    pack_network(whole)
    assert isinstance(whole.get_submodule("0"), FusedFeedForward)
    for each in (clock, own):
        each.set(torch.tensor(step))
    x = torch.randn(2, 5, 64)
    expected = net(x)
    assert float((whole(x) - expected).abs().max() / expected.abs().max()) < 5e-3
    assert torch.equal(copy.deepcopy(whole)(x), whole(x))


def test_it_differs_from_its_layers_by_ties_alone() -> None:
    net, clock = block(steps=3)
    clock.set(torch.tensor([[1]]))
    pack_network(net)
    x = torch.randn(2, 500, 64)
    hidden = functional.gelu(net.get_submodule("0.fc1")(x), approximate="tanh")
    apart = net.get_submodule("0.fc2")(hidden)
    moved = ((net(x) - apart).abs() > 1e-5).any(dim=-1).float().mean()
    assert float(moved) < 0.02


@pytest.mark.parametrize("text", ["W8A8", "W4A8,static", "W8A6,static"])
def test_other_schemes_keep_their_layers_apart(text: str) -> None:
    net, _ = block(text)
    pack_network(net)
    assert isinstance(net.get_submodule("0"), FeedForward)


@pytest.mark.parametrize("between", ["scale", "rotation"])
def test_a_prologue_in_between_keeps_them_apart(between: str) -> None:
    net, _ = block(between=between)
    pack_network(net)
    assert isinstance(net.get_submodule("0"), FeedForward)


def test_the_reference_keeps_them_apart() -> None:
    net, _ = block()
    x = torch.randn(2, 5, 64)
    expected = net(x)
    pack_network(net, kernel="reference")
    assert isinstance(net.get_submodule("0"), FeedForward)
    assert torch.equal(net(x), expected)
