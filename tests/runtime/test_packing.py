import re
from pathlib import Path

import pytest
import torch
from torch import nn

from bitscape.formats import parse_scheme
from bitscape.nn import QuantLinear, insert, quantized_sites
from bitscape.quantizers import minmax, quantize_weight, weight_grid
from bitscape.runtime import KERNELS, Capabilities, choose_kernels, pack_network, resident_bytes
from bitscape.structure import Role, Site, StepClock

ALL = Capabilities(vnni=True, bf16=True)


def network(text: str) -> nn.Module:
    """Two coded layers around one that stays in float."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 32), nn.Linear(32, 16))
    net.requires_grad_(False)
    sites = [Site(name, Role.FC1) for name in ("0", "2", "3")]
    insert(net, sites, {"": StepClock()})
    scheme = parse_scheme(text).default
    assert scheme.weight is not None
    for name in ("0", "3"):
        layer = net.get_submodule(name)
        assert isinstance(layer, QuantLinear)
        W = layer.effective_weight()
        grid = weight_grid(W, scheme.weight, minmax)
        layer.set_codes(quantize_weight(W, grid, scheme.weight), grid, scheme.weight)
        if scheme.activation is not None:
            layer.quantize_activation(scheme.activation)
    return net


def test_every_site_gets_a_choice() -> None:
    net = network("W4A8")
    choices = pack_network(net, machine=ALL)
    assert [choice.kernel for choice in choices] == ["int8-unpack", "float", "int8-unpack"]
    assert [choice.real for choice in choices] == [True, True, True]
    assert "onednn-w8a8-static: " in choices[0].reason
    assert list(quantized_sites(net)) == ["2"]


@pytest.mark.parametrize("text", ["W8A8", "W3A16", "MXFP4"])
def test_reference_is_bit_for_bit_the_network(text: str) -> None:
    x = torch.randn(4, 5, 64, generator=torch.Generator().manual_seed(1))
    net = network(text)
    expected = net(x)
    choices = pack_network(net, kernel="reference")
    assert {choice.kernel for choice in choices} == {"dequant", "float"}
    assert torch.equal(net(x), expected)


def test_emulated_activations_are_not_called_real() -> None:
    assert not pack_network(network("MXFP4"), machine=ALL)[0].real
    assert pack_network(network("W4A16"), kernel="reference")[0].real


def test_named_kernel_falls_to_dequant_with_the_reason() -> None:
    choice = pack_network(network("W4A16"), kernel="int8-unpack", machine=ALL)[0]
    assert choice.kernel == "dequant"
    assert choice.reason == "int8-unpack: the activations stay at 16 bits"


def test_machine_without_instructions_runs_the_reference() -> None:
    none = Capabilities(vnni=False, bf16=False)
    choices = pack_network(network("W8A8"), machine=none)
    assert choices[0].kernel == "dequant"
    assert "VNNI" in choices[0].reason


def test_choosing_packs_nothing() -> None:
    net = network("W8A8")
    planned = choose_kernels(net, machine=ALL)
    assert list(quantized_sites(net)) == ["0", "2", "3"]
    assert planned == pack_network(net, machine=ALL)


def test_unknown_kernel_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="int8-unpack"):
        pack_network(network("W8A8"), kernel="fast")


def test_every_kernel_is_documented_in_the_order_of_preference() -> None:
    page = Path(__file__).parents[2] / "docs" / "kernels.md"
    assert re.findall(r"^\| `([^`]+)` \|", page.read_text(), re.MULTILINE) == list(KERNELS)


def test_packed_network_holds_fewer_bytes() -> None:
    full = resident_bytes(network("W4A16"))
    net = network("W4A16")
    pack_network(net, machine=ALL)
    scales_and_biases = 2 * (32 + 16) * 2
    floats = 4 * (32 * 32 + 32)
    assert resident_bytes(net) == (64 * 32 + 32 * 16) // 2 + scales_and_biases + floats + 8
    assert resident_bytes(net) < full


def test_registry_is_keyed_by_name_and_ends_with_what_runs_everything() -> None:
    assert all(name == kernel.name for name, kernel in KERNELS.items())
    assert list(KERNELS)[-1] == "dequant"
