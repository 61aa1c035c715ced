import pytest
import torch
from torch import nn

from bitscape.nn import QuantAttend, QuantConv2d, QuantLinear, insert, quantized_sites
from bitscape.structure import Attend, Kind, Role, Site, StepClock

SITES = [
    Site("body.fc", Role.FC1),
    Site("body.conv", Role.CONV, Kind.CONV),
    Site("head.attend", Role.ATTEND, Kind.ATTEND),
]


def network() -> nn.Module:
    body = nn.ModuleDict({"fc": nn.Linear(4, 4), "conv": nn.Conv2d(4, 4, 1), "norm": nn.Identity()})
    return nn.ModuleDict({"body": body, "head": nn.ModuleDict({"attend": Attend()})})


def test_sites_are_replaced_by_their_twins() -> None:
    net = network()
    weights = {name: tensor.clone() for name, tensor in net.named_parameters()}
    insert(net, SITES, {"": StepClock()})
    kinds = {name: type(module) for name, module in quantized_sites(net).items()}
    assert kinds == {"body.fc": QuantLinear, "body.conv": QuantConv2d, "head.attend": QuantAttend}
    assert all(torch.equal(weights[name], tensor) for name, tensor in net.named_parameters())


def test_inserting_twice_changes_nothing() -> None:
    net = network()
    insert(net, SITES, {"": StepClock()})
    before = quantized_sites(net)
    insert(net, SITES, {"": StepClock()})
    assert quantized_sites(net) == before


def test_site_reads_the_innermost_clock() -> None:
    clocks = {"": StepClock(), "head": StepClock(), "bod": StepClock()}
    net = network()
    insert(net, SITES, clocks)
    found = quantized_sites(net)
    assert found["head.attend"].clock is clocks["head"]
    assert found["body.fc"].clock is clocks[""]


def test_wrong_sites_are_refused() -> None:
    clocks = {"": StepClock()}
    with pytest.raises(ValueError, match="no site 'body.nothing'"):
        insert(network(), [Site("body.nothing", Role.FC1)], clocks)
    with pytest.raises(ValueError, match="declared as linear and is a Identity"):
        insert(network(), [Site("body.norm", Role.FC1)], clocks)
    with pytest.raises(ValueError, match="no clock"):
        insert(network(), SITES, {"tail": StepClock()})
