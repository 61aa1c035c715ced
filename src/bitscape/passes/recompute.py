"""Recomputation: blocks keep their inputs alone and run once more on the way back.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from bitscape.structure import StepClock


@contextmanager
def recomputing(
    network: nn.Module, names: Sequence[str], clocks: Mapping[str, StepClock]
) -> Iterator[None]:
    """Let the modules `names` compute twice while gradients are taken."""
    blocks = [network.get_submodule(name) for name in names]
    for block in blocks:
        # The instance's own attribute is found before the method of its class.
        vars(block)["forward"] = _twice(block.forward, clocks)
    try:
        yield
    finally:
        for block in blocks:
            del vars(block)["forward"]


def _twice(forward: Callable[..., Any], clocks: Mapping[str, StepClock]) -> Callable[..., Any]:
    def run(*args: Any, **words: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **words)
        # The driver has moved on by the time the way back comes past here.
        steps = {net: clock.index.clone() for net, clock in clocks.items()}

        def at_its_step(*args: Any, **words: Any) -> Any:
            now = {net: clock.index.clone() for net, clock in clocks.items()}
            try:
                for net, clock in clocks.items():
                    clock.set(steps[net])
                return forward(*args, **words)
            finally:
                for net, clock in clocks.items():
                    clock.set(now[net])

        return checkpoint(at_its_step, *args, use_reentrant=False, **words)

    return run
