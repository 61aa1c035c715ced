"""Putting the normal form into a network, and finding it there."""

import copy
from collections.abc import Iterable, Mapping

from torch import nn

from bitscape.nn.attend import QuantAttend
from bitscape.nn.conv import QuantConv2d
from bitscape.nn.linear import QuantLinear
from bitscape.structure import Attend, Kind, Site, StepClock, net_of

Quantized = QuantLinear | QuantConv2d | QuantAttend


def insert(network: nn.Module, sites: Iterable[Site], clocks: Mapping[str, StepClock]) -> None:
    """Replace the module of each site by its quantizable twin, in place; the function is unchanged.

    A site that is one already is left alone. `clocks` are those of the pipeline; a site reads the
    one of the innermost sub-network that holds it.
    """
    for site in sites:
        module = _module_of(network, site)
        if not isinstance(module, Quantized):
            network.set_submodule(site.name, _twin(module, site, clocks[net_of(site.name, clocks)]))


def take_over(
    network: nn.Module,
    source: nn.Module,
    clocks: Mapping[str, StepClock],
    theirs: Mapping[str, StepClock],
) -> None:
    """Give `network` copies of the normal form and of all parameters of `source`, in place.

    Both are of one architecture. `clocks` are those of the pipeline of `network`, `theirs` those of
    the other: copies read the former.
    """
    shared = {id(clock): clocks[name] for name, clock in theirs.items()}
    for name, site in quantized_sites(source).items():
        network.set_submodule(name, copy.deepcopy(site, shared))
    network.load_state_dict(source.state_dict())


def quantized_sites(network: nn.Module) -> dict[str, Quantized]:
    """The sites of `network` in the normal form, by name, in the order of its modules."""
    return {
        name: module for name, module in network.named_modules() if isinstance(module, Quantized)
    }


def _module_of(network: nn.Module, site: Site) -> nn.Module:
    try:
        return network.get_submodule(site.name)
    except AttributeError:
        raise ValueError(f"the network has no site {site.name!r}") from None


def _twin(module: nn.Module, site: Site, clock: StepClock) -> Quantized:
    match site.kind, module:
        case Kind.LINEAR, nn.Linear():
            return QuantLinear.of(module, site, clock)
        case Kind.CONV, nn.Conv2d():
            return QuantConv2d.of(module, site, clock)
        case Kind.ATTEND, Attend():
            return QuantAttend.of(module, site, clock)
    raise ValueError(
        f"site {site.name!r} is declared as {site.kind.value} and is a {type(module).__name__}"
    )
