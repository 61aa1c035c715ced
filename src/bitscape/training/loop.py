"""The one training loop: schedules, averaged weights, logs and exact resumption.

A task supplies parameters and a loss that depends on the step number alone, so a run that was
killed and resumed takes the same steps as one that was not.
"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from bitscape.training.average import MovingAverage
from bitscape.training.faults import broken_gradient, broken_layer, steepest
from bitscape.training.plan import Plan
from bitscape.training.ranks import Ranks
from bitscape.training.shards import clip_gradients
from bitscape.training.state import State


@runtime_checkable
class Task(Protocol):
    """What is trained: `module` holds the parameters, `losses(step)` returns named losses.

    The entry "loss" is minimised, the others are logged. All randomness must derive from `step`.
    """

    @property
    def module(self) -> nn.Module:
        """The parameters that are trained."""
        ...

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """Named scalar losses of one step."""
        ...


Progress = Callable[[int, int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Run:
    """One run's files: the resumable state and the log, one JSON line every few steps."""

    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "log.jsonl"


def train(
    task: Task,
    optimizers: Sequence[torch.optim.Optimizer],
    plan: Plan,
    run: Run,
    progress: Progress | None = None,
) -> nn.Module:
    """`task.module` with its averaged weights after the steps of `plan`, resuming from `run`.

    Under torchrun every process calls this with the same arguments: they average their gradients,
    and the first one writes, or each its part if the parameters are sharded. FloatingPointError,
    naming step and layer, when a loss or a gradient is no number or the run diverges.
    """
    ranks = Ranks.current()
    run.folder.mkdir(parents=True, exist_ok=True)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base_rate"] = group["lr"]
    averages = MovingAverage(task.module, plan.average)
    state = State(run.folder, ranks, task.module, averages, optimizers)
    state.resume()
    began, saved = time.monotonic() - state.seconds, time.monotonic()
    log = Log.continued(run.log, state.step, writes=ranks.first)
    sums: dict[str, float] = {}
    for step in range(state.step, plan.steps):
        losses = _step(task, optimizers, plan, step, state.seconds, ranks)
        averages.update()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value
        elapsed = time.monotonic() - began
        if plan.seconds is not None:
            elapsed = float(ranks.mean(torch.tensor(elapsed, dtype=torch.float64)))
        state.step, state.seconds = step + 1, elapsed
        over = plan.over(step + 1, elapsed)
        if (step + 1) % plan.log_every == 0 or over:
            means = {name: value / ((step % plan.log_every) + 1) for name, value in sums.items()}
            log.add({"step": step + 1, "seconds": round(elapsed, 1), **means})
            if progress is not None:
                progress(step + 1, plan.steps, means)
            log.check(plan, step, task.module)
            sums = {}
            if ranks.shared(time.monotonic() - saved > plan.save_seconds or over):
                state.save()
                saved = time.monotonic()
        if over:
            break
    averages.apply()
    return task.module


@dataclass
class Log:
    """The log of a run: one JSON line every few steps, and what the first of them said."""

    path: Path
    first: dict[str, float] | None
    writes: bool
    last: dict[str, float] = field(default_factory=dict)

    @classmethod
    def continued(cls, path: Path, start: int, *, writes: bool) -> "Log":
        """The log up to the step `start`: what a killed run wrote after its state is dropped."""
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] <= start]
        if writes and len(kept) < len(lines):
            path.write_text("".join(f"{line}\n" for line in kept))
        return cls(path, json.loads(kept[0]) if kept else None, writes)

    def add(self, record: dict[str, float]) -> None:
        """Append one line."""
        self.first, self.last = self.first or record, record
        if self.writes:
            with self.path.open("a") as file:
                file.write(json.dumps(record) + "\n")

    def check(self, plan: Plan, step: int, module: nn.Module) -> None:
        """Raise FloatingPointError when the watched loss has left its start far behind."""
        assert self.first is not None
        before, now = (abs(record.get(plan.watched, 0.0)) for record in (self.first, self.last))
        if now > plan.diverged * max(before, plan.floor):
            raise FloatingPointError(
                f"the run diverges: {plan.watched} is {now:.3g} at step {step}, {before:.3g} at "
                f"the start; the largest gradient is that of {steepest(module)}"
            )


def _step(
    task: Task,
    optimizers: Sequence[torch.optim.Optimizer],
    plan: Plan,
    step: int,
    elapsed: float,
    ranks: Ranks,
) -> dict[str, float]:
    """Take one step and return the losses it saw; FloatingPointError when they are not finite."""
    factor = plan.factor(step, elapsed)
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
        for group in optimizer.param_groups:
            group["lr"] = group["base_rate"] * factor
    losses = task.losses(step)
    losses["loss"].backward()
    seen = {name: float(ranks.mean(value)) for name, value in losses.items()}
    if not math.isfinite(seen["loss"]):
        layer = broken_layer(task.module, lambda: task.losses(step))
        raise FloatingPointError(f"the loss is {seen['loss']} at step {step}, first in {layer}")
    ranks.average_gradients(task.module.parameters())
    norm = clip_gradients(task.module.parameters(), plan.clip)
    if not bool(norm.isfinite()):
        name = broken_gradient(task.module)
        raise FloatingPointError(f"the gradient is {float(norm)} at step {step}, first in {name}")
    for optimizer in optimizers:
        optimizer.step()
    return seen
