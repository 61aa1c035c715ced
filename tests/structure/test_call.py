"""The driver answers every call, shows it to the tap, and leaves the clocks unset."""

from collections.abc import Generator

import pytest
import torch
from torch import Tensor, nn

from bitscape.structure import Call, StepClock, constant_step, drive


class Doubling(nn.Module):
    """Doubles its input and notes the step it was called at."""

    def __init__(self, clock: StepClock) -> None:
        super().__init__()
        self.clock = clock
        self.steps: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.steps.append(int(self.clock.read()))
        return 2 * x


def walk(times: int) -> Generator[Call, Tensor, Tensor]:
    x = torch.ones(1)
    for step in range(times):
        x = yield Call("", constant_step(step), (x,))
    return x


def test_drive_returns_what_the_trajectory_returns() -> None:
    clock = StepClock()
    assert drive(Doubling(clock), walk(5), {"": clock}).item() == 32


def test_the_clock_follows_the_calls_and_is_unset_afterwards() -> None:
    clock = StepClock()
    network = Doubling(clock)
    drive(network, walk(3), {"": clock})
    assert network.steps == [0, 1, 2]
    with pytest.raises(RuntimeError):
        clock.read()


def test_the_tap_sees_every_call_with_its_output() -> None:
    clock = StepClock()
    seen: list[tuple[int, float]] = []

    def tap(call: Call, output: Tensor) -> None:
        seen.append((int(call.step), output.item()))

    drive(Doubling(clock), walk(3), {"": clock}, tap)
    assert seen == [(0, 2.0), (1, 4.0), (2, 8.0)]


def test_an_error_inside_the_network_still_unsets_the_clock() -> None:
    clock = StepClock()

    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ArithmeticError("on purpose")

    with pytest.raises(ArithmeticError):
        drive(Failing(), walk(1), {"": clock})
    with pytest.raises(RuntimeError):
        clock.read()


def test_a_call_moves_with_all_its_tensors_and_nothing_else() -> None:
    cache = object()
    state = {"mask": torch.zeros(2), "cache": cache}
    call = Call("head", constant_step(3), (torch.zeros(2, 3), 4, None), state)
    moved = call.to("meta")
    tensors = [moved.step, moved.args[0], moved.state["mask"]]
    assert all(tensor.is_meta for tensor in tensors)
    assert [tuple(t.shape) for t in tensors] == [(1, 1), (2, 3), (2,)]
    assert moved.net == "head"
    assert moved.args[1:] == (4, None)
    assert moved.state["cache"] is cache
    assert not call.args[0].is_meta
