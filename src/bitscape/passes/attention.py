"""Finding the attention products of a network, and the range of every head."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bitscape.calibration import replay, spread
from bitscape.formats import TensorScheme
from bitscape.nn import QuantAttend, insert
from bitscape.quantizers import Grid, RangeRule
from bitscape.structure import Attend, Call, Kind, Pipeline, Role, Site

PER_CALL = 4096


def insert_attends(pipeline: Pipeline) -> list[QuantAttend]:
    """Every attention of the network as a quantizable site, in the order of its modules."""
    network = pipeline.network
    # A product that is a site already holds one of its own.
    inner = {m.attend for m in network.modules() if isinstance(m, QuantAttend)}
    found = [
        Site(name, Role.ATTEND, Kind.ATTEND)
        for name, module in network.named_modules()
        if isinstance(module, Attend) and module not in inner
    ]
    insert(network, found, pipeline.clocks)
    return [module for module in network.modules() if isinstance(module, QuantAttend)]


class HeadSamples:
    """Queries, keys and values of every head: the extremes and an even sample."""

    def __init__(self) -> None:
        self.kept: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])

    def watch(self, module: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Take in the operands of one product."""
        del module, options
        for store, x in zip(self.kept, args, strict=True):
            flat = x.detach().float().transpose(0, 1).flatten(1)
            low, high = flat.aminmax(dim=1, keepdim=True)
            sample = flat[:, spread(flat.shape[1], PER_CALL, flat.device)]
            store.append(torch.cat([low, high, sample], dim=1))

    def grids(self, rule: RangeRule, scheme: TensorScheme) -> tuple[Grid, Grid, Grid]:
        """The grids of queries, keys and values, one a head."""
        q, k, v = (
            rule(torch.cat(parts, dim=1)[:, None], scheme.format, scheme.symmetric)
            for parts in self.kept
        )
        return q, k, v


def observe_heads(
    pipeline: Pipeline, calls: Sequence[Call], attends: Sequence[QuantAttend]
) -> list[HeadSamples]:
    """The samples of each attention over all `calls`, in one sweep."""
    samples = [HeadSamples() for _ in attends]
    hooks = [
        attend.register_forward_pre_hook(sample.watch, with_kwargs=True)
        for attend, sample in zip(attends, samples, strict=True)
    ]
    try:
        replay(pipeline.network, pipeline.clocks, calls)
    finally:
        for hook in hooks:
            hook.remove()
    return samples
