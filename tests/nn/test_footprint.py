import pytest
import torch
from torch import nn

from bitscape.formats import pack, parse_scheme
from bitscape.nn import QuantConv2d, QuantLinear, footprint, insert
from bitscape.quantizers import minmax, quantize_weight, weight_grid
from bitscape.structure import Kind, Role, Site, StepClock


def network() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 32), nn.LayerNorm(32), nn.Linear(32, 16, bias=False))
    insert(net, [Site("0", Role.FC1), Site("2", Role.FC2)], {"": StepClock()})
    return net.requires_grad_(False)


def code(layer: nn.Module, text: str) -> None:
    assert isinstance(layer, QuantLinear)
    scheme = parse_scheme(text).default
    assert scheme.weight is not None
    W = layer.effective_weight()
    grid = weight_grid(W, scheme.weight, minmax)
    layer.set_codes(quantize_weight(W, grid, scheme.weight), grid, scheme.weight)
    if scheme.activation is not None:
        layer.quantize_activation(scheme.activation)


def test_float_network_costs_sixteen_bits_a_parameter() -> None:
    net = network()
    cost = footprint(net)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    assert cost.model_bits == 16 * parameters
    assert cost.nominal_weight_bits == cost.actual_weight_bits == 16
    assert cost.compute_bits == 256 * (64 * 32 + 32 * 16)


def test_every_parameter_is_counted_once_when_coded() -> None:
    net = network()
    code(net[0], "W4A8")
    cost = footprint(net)
    assert cost.model_bits == 4 * 64 * 32 + 16 * (32 + 64 + 32 * 16)
    assert cost.nominal_weight_bits == (4 * 64 * 32 + 16 * 32 * 16) / (64 * 32 + 32 * 16)
    assert cost.compute_bits == 4 * 8 * 64 * 32 + 256 * 32 * 16
    assert [site.role for site in cost.sites] == ["fc1", "fc2"]
    assert "int4" in cost.sites[0].text


@pytest.mark.parametrize("text", ["W3A16", "W4A16@g32", "W8A8"])
def test_code_and_scale_bytes_are_those_of_the_packed_tensors(text: str) -> None:
    net = network()
    code(net[0], text)
    layer = net[0]
    assert layer.coded is not None
    site = footprint(net).sites[0]
    packed = pack(layer.coded.codes, layer.coded.scheme.format.code_bits)
    assert site.code_bytes == packed.numel() * 4
    width = 2 if "@" in text else 4
    assert site.scale_bytes == layer.coded.grid_scale.numel() * width


def test_branches_and_prologues_are_counted() -> None:
    net = network()
    plain = footprint(net).model_bits
    layer = net[0]
    layer.affine(torch.full((64,), 2.0), torch.ones(64))
    layer.split_off(torch.ones(32, 2), torch.ones(2, 64))
    assert footprint(net).model_bits == plain + 16 * (2 * 64 + 2 * (64 + 32))


def test_prologue_of_a_convolution_is_counted_as_that_of_a_linear_layer() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(6, 4, 3)).requires_grad_(False)
    insert(net, [Site("0", Role.CONV, Kind.CONV)], {"": StepClock()})
    layer = net[0]
    assert isinstance(layer, QuantConv2d)
    plain = footprint(net).model_bits
    layer.affine(torch.full((6,), 2.0))
    assert footprint(net).model_bits == plain + 16 * 6
    layer.affine(torch.full((6,), 2.0), torch.ones(6))
    assert footprint(net).model_bits == plain + 16 * (2 * 6)
