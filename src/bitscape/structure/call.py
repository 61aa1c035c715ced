"""Calls and the driver: a sampler is a generator that yields backbone calls.

One definition of a trajectory serves sampling, recording, distillation, error analysis and
profiling: they differ only in the tap that watches the calls go by.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from bitscape.structure.clock import StepClock


@dataclass(frozen=True)
class Call:
    """A request to run one sub-network at one position of the trajectory.

    `net` is its dotted path in the pipeline's network ("" is the whole); `step` is the clock index,
    shape (batch or 1, token or 1). `state` holds what must not be recorded or replayed, such as a
    key-value cache.
    """

    net: str
    step: Int[Tensor, "batch token"]
    args: tuple[Any, ...]
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """The rows of its first tensor."""
        return next(len(arg) for arg in self.args if isinstance(arg, Tensor))

    def to(self, device: torch.device | str) -> "Call":
        """The same call with the tensors of `args`, `step` and `state` on `device`.

        Anything else, such as a cache, is the very object it was.
        """
        args = tuple(_placed(arg, device) for arg in self.args)
        state = {name: _placed(value, device) for name, value in self.state.items()}
        return Call(self.net, self.step.to(device), args, state)


Trajectory = Generator[Call, Tensor, Tensor]
Tap = Callable[[Call, Tensor], None]


def invoke(network: nn.Module, clocks: Mapping[str, StepClock], call: Call) -> Tensor:
    """The output of the sub-network that `call` names, run with its clock at `call.step`."""
    clocks[call.net].set(call.step)
    result: Tensor = network.get_submodule(call.net)(*call.args, **call.state)
    return result


def drive(
    network: nn.Module,
    trajectory: Trajectory,
    clocks: Mapping[str, StepClock],
    tap: Tap | None = None,
) -> Tensor:
    """The value `trajectory` returns after every call it yields has been answered by `network`.

    `tap(call, output)` sees each answered call. The clocks are unset afterwards, so that a stray
    forward pass raises instead of reading a stale step.
    """
    try:
        call = next(trajectory)
        while True:
            output = invoke(network, clocks, call)
            if tap is not None:
                tap(call, output)
            call = trajectory.send(output)
    except StopIteration as stop:
        result: Tensor = stop.value
        return result
    finally:
        for clock in clocks.values():
            clock.unset()


def _placed(value: Any, device: torch.device | str) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value


def constant_step(index: int) -> Int[Tensor, "1 1"]:
    """The clock index of a call that lies at one step for every sample and token."""
    return torch.full((1, 1), index)
