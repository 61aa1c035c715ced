"""Recomputation: blocks keep their inputs alone and run once more on the way back.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bitscape.passes.student import StudentLayer
from bitscape.structure import StepClock


@contextmanager
def recomputing(
    network: nn.Module, names: Sequence[str], clocks: Mapping[str, StepClock]
) -> Iterator[None]:
    """Let the modules `names` compute twice while gradients are taken."""
    blocks = [network.get_submodule(name) for name in names]
    for block in blocks:
        # The instance's own attribute is found before the method of its class.
        vars(block)["forward"] = _twice(block, clocks)
    try:
        yield
    finally:
        for block in blocks:
            del vars(block)["forward"]


def _twice(block: nn.Module, clocks: Mapping[str, StepClock]) -> Callable[..., Any]:
    forward = block.forward
    students = [layer for layer in block.modules() if isinstance(layer, StudentLayer)]

    def run(*args: Any, **words: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **words)
        # Driver and widths have moved on by the time the way back comes past here.
        steps = {net: clock.index.clone() for net, clock in clocks.items()}
        widths = [student.width for student in students]

        def at_its_step(*args: Any, **words: Any) -> Any:
            now = {net: clock.index.clone() for net, clock in clocks.items()}
            last = [student.width for student in students]
            try:
                _turn(clocks, steps, students, widths)
                return forward(*args, **words)
            finally:
                _turn(clocks, now, students, last)

        return checkpoint(at_its_step, *args, use_reentrant=False, **words)

    return run


def _turn(
    clocks: Mapping[str, StepClock],
    steps: Mapping[str, Tensor],
    students: Sequence[StudentLayer],
    widths: Sequence[int | None],
) -> None:
    for net, clock in clocks.items():
        clock.set(steps[net])
    for student, width in zip(students, widths, strict=True):
        student.read_at(width)
