"""Observing: one sweep over the calibration calls fills the statistics of any number of sites."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from bitscape.calibration.hessian import Hessian
from bitscape.calibration.inputs import Statistic, watching
from bitscape.calibration.paired import PairedInputs
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
    Whole(pipeline.network, pipeline.clocks, calls).observe(statistics)
    return statistics


@dataclass(frozen=True)
class Whole:
    """The whole network as a place to watch sites in, beside a `teacher` that shares its clocks."""

    network: nn.Module
    clocks: Mapping[str, StepClock]
    calls: Iterable[Call]
    teacher: nn.Module | None = None

    def observe(self, statistics: Mapping[str, Statistic]) -> None:
        """Fill the statistics of the named sites; without any, nothing is run."""
        if not statistics:
            return
        with watching(self.network, statistics):
            replay(self.network, self.clocks, self.calls)

    def observe_both(self, statistics: Mapping[str, PairedInputs]) -> None:
        """Fill the statistics of the named sites, each call through the teacher first.

        Without any, nothing is run.
        """
        if not statistics:
            return
        assert self.teacher is not None
        with beside(self.network, self.teacher, statistics):
            for call in self.calls:
                for network in (self.teacher, self.network):
                    replay(network, self.clocks, [call])


@contextmanager
def beside(
    network: nn.Module, teacher: nn.Module, statistics: Mapping[str, PairedInputs]
) -> Iterator[None]:
    """Feed the inputs of the named sites of both networks to their statistics."""
    full = {name: statistic.full for name, statistic in statistics.items()}
    with watching(teacher, full), watching(network, statistics):
        yield


@torch.no_grad()
def replay(network: nn.Module, clocks: Mapping[str, StepClock], calls: Iterable[Call]) -> None:
    """Run independent calls for what watches them; outputs are dropped, clocks unset afterwards."""
    device = next(network.parameters()).device
    try:
        for call in calls:
            invoke(network, clocks, call.to(device))
    finally:
        for clock in clocks.values():
            clock.unset()


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
