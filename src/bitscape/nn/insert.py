"""Putting the normal form into a network, and finding it there."""

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
