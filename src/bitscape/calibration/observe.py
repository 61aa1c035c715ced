"""Observing: one sweep over the calibration calls fills the statistics of any number of sites."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from bitscape.calibration.hessian import Hessian
from bitscape.calibration.inputs import Statistic, watching
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.structure import Call, Pipeline, Site, StepClock, invoke

Kept = TypeVar("Kept", bound=Statistic)


def observe(
    pipeline: Pipeline,
    calls: Iterable[Call],
    sites: Iterable[Site],
    statistic: Callable[[Site], Kept],
) -> dict[str, Kept]:
    """The statistic of each site's prologued inputs over all `calls`, in one sweep."""
    statistics = {site.name: statistic(site) for site in sites}
    with watching(pipeline.network, statistics):
        replay(pipeline.network, pipeline.clocks, calls)
    return statistics


@torch.no_grad()
def replay(network: nn.Module, clocks: Mapping[str, StepClock], calls: Iterable[Call]) -> None:
    """Run independent calls for what watches them; outputs are dropped, clocks unset afterwards."""
    device = next(network.parameters()).device
    try:
        for call in calls:
            invoke(network, clocks, placed(call, device))
    finally:
        for clock in clocks.values():
            clock.unset()


def placed(call: Call, device: torch.device) -> Call:
    """`call` with its tensors on `device`."""
    args = tuple(arg.to(device) if isinstance(arg, Tensor) else arg for arg in call.args)
    return Call(call.net, call.step.to(device), args, call.state)


def hessian_of(network: nn.Module, name: str) -> Hessian:
    """An empty Hessian for the weight matrix of the site `name`."""
    layer = network.get_submodule(name)
    assert isinstance(layer, QuantLinear | QuantConv2d)
    assert layer.weight is not None
    return Hessian(layer.weight[0].numel(), layer.weight.device)


def hessians(
    pipeline: Pipeline, calls: Sequence[Call], sites: Sequence[Site]
) -> dict[str, Hessian]:
    """The Hessians of `sites` over `calls`, in one sweep of the whole network."""
    return observe(pipeline, calls, sites, lambda site: hessian_of(pipeline.network, site.name))
