"""The one training loop: schedules, averaged weights, logs and exact resumption.

A task supplies parameters and a loss that depends on the step number alone, so a run that was
killed and resumed takes the same steps as one that was not.
"""

import json
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    began, saved = time.monotonic() - state.seconds, state.seconds
    log = Log.continued(run.log, state.step, writes=ranks.first)
    while not plan.over(state.step, state.seconds):
        losses = _step(task, optimizers, plan, state.step + 1, state.seconds, ranks)
        averages.update()
        for name, value in losses.items():
            state.sums[name] = state.sums.get(name, 0.0) + value
        # One clock for all processes, so that they end and save at the same step.
        elapsed = ranks.shared(time.monotonic() - began)
        state.step, state.seconds = state.step + 1, elapsed
        over = plan.over(state.step, elapsed)
        if state.step % plan.log_every == 0 or over:
            means = state.means(plan.log_every)
            log.add({"step": state.step, "seconds": round(elapsed, 1), **means})
            if progress is not None:
                progress(state.step, plan.steps, means)
            log.check(plan, task.module)
        if over or elapsed - saved > plan.save_seconds:
            state.save()
            saved = elapsed
    averages.apply()
    return task.module


@dataclass
class Log:
    """The log of a run: one JSON line every few steps, and what the first and last of them said."""

    path: Path
    first: dict[str, float] | None
    last: dict[str, float] | None
    writes: bool
    before: dict[str, float] | None = None

    @classmethod
    def continued(cls, path: Path, start: int, *, writes: bool) -> "Log":
        """The log up to the step `start`: what a killed run wrote after its state is dropped.

        So is a line that it did not end.
        """
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith("\n")]
        records = [record for line in whole if (record := json.loads(line))["step"] <= start]
        if writes and len(records) < len(lines):
            path.write_text("".join(whole[: len(records)]))
        first, last = (records[0], records[-1]) if records else (None, None)
        return cls(path, first, last, writes)

    def add(self, record: dict[str, float]) -> None:
        """Append one line."""
        self.first, self.before, self.last = self.first or record, self.last, record
        if self.writes:
            with self.path.open("a") as file:
                file.write(json.dumps(record) + "\n")

    def check(self, plan: Plan, module: nn.Module) -> None:
        """Warn when the watched loss has left its start behind, halfway to `diverged` by factors.

        FloatingPointError when it has got there.
        """
        assert self.first is not None and self.last is not None
        first, before, now = (
            abs((record or {}).get(plan.watched, 0.0))
            for record in (self.first, self.before, self.last)
        )
        start = max(first, plan.floor)
        early, limit = plan.diverged**0.5 * start, plan.diverged * start
        if now <= early:
            return
        told = (
            f"{plan.watched} is {now:.3g} at step {self.last['step']}, {first:.3g} at the start; "
            f"the gradient largest beside its weights is that of {steepest(module)}"
        )
        if now > limit:
            raise FloatingPointError(f"the run diverges: {told}")
        if before <= early:
            warnings.warn(f"the run may diverge: {told}", stacklevel=2)


def _step(
    task: Task,
    optimizers: Sequence[torch.optim.Optimizer],
    plan: Plan,
    step: int,
    elapsed: float,
    ranks: Ranks,
) -> dict[str, float]:
    """Take the step number `step`, counted from 1, and return the losses it saw.

    FloatingPointError when they are not finite.
    """
    factor = plan.factor(step - 1, elapsed)
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
        for group in optimizer.param_groups:
            group["lr"] = group["base_rate"] * factor
    losses = task.losses(step - 1)
    losses["loss"].backward()
    seen = {name: float(ranks.mean(value)) for name, value in losses.items()}
    if not math.isfinite(seen["loss"]):
        layer = broken_layer(task.module, lambda: task.losses(step - 1))
        raise FloatingPointError(f"the loss is {seen['loss']} at step {step}, first in {layer}")
    ranks.average_gradients(task.module.parameters())
    norm = clip_gradients(task.module.parameters(), plan.clip)
    if not bool(norm.isfinite()):
        name = broken_gradient(task.module)
        raise FloatingPointError(f"the gradient is {float(norm)} at step {step}, first in {name}")
    for optimizer in optimizers:
        optimizer.step()
    return seen
