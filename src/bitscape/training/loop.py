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
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from bitscape.training.faults import broken_gradient, broken_layer, steepest
from bitscape.training.plan import Plan
from bitscape.training.ranks import Ranks


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
Tensors = tuple[Tensor, ...] | list[Tensor]


@dataclass(frozen=True)
class Run:
    """One run's files: the resumable state and the log, one JSON line every few steps."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state.pt"

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
    """The averaged weights of `task.module` after the steps of `plan`, resuming from `run`.

    Under torchrun every process calls this with the same arguments: they average their gradients,
    and the first one writes. FloatingPointError, naming step and layer, when a loss or a gradient
    is no number or the run diverges.
    """
    ranks = Ranks.current()
    run.folder.mkdir(parents=True, exist_ok=True)
    averaged = AveragedModel(task.module, multi_avg_fn=_moving_average(plan.average))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base_rate"] = group["lr"]
    start, elapsed = _resume(run.state, task.module, averaged, optimizers, ranks)
    began, saved = time.monotonic() - elapsed, time.monotonic()
    log = Log.continued(run.log, start, writes=ranks.first)
    sums: dict[str, float] = {}
    for step in range(start, plan.steps):
        losses = _step(task, optimizers, plan, step, elapsed, ranks)
        averaged.update_parameters(task.module)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value
        elapsed = time.monotonic() - began
        if plan.seconds is not None:
            elapsed = float(ranks.mean(torch.tensor(elapsed, dtype=torch.float64)))
        over = plan.over(step + 1, elapsed)
        if (step + 1) % plan.log_every == 0 or over:
            means = {name: value / ((step % plan.log_every) + 1) for name, value in sums.items()}
            log.add({"step": step + 1, "seconds": round(elapsed, 1), **means})
            if progress is not None:
                progress(step + 1, plan.steps, means)
            log.check(plan, step, task.module)
            sums = {}
            if ranks.first and (time.monotonic() - saved > plan.save_seconds or over):
                _save(run.state, step + 1, elapsed, task.module, averaged, optimizers)
                saved = time.monotonic()
        if over:
            break
    result: nn.Module = averaged.module
    return result


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


def _moving_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """The exponential moving average, its decay rising as (1 + n) / (10 + n) up to `decay`.

    With a constant decay the initial weights would still weigh a third after 1 / (1 - decay) steps.
    """

    @torch.no_grad()
    def update(averages: Tensors, currents: Tensors, count: Tensor | int) -> None:
        kept = min(decay, (1 + float(count)) / (10 + float(count)))
        for average, current in zip(averages, currents, strict=True):
            average.lerp_(current, 1 - kept)

    return update


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
    norm = nn.utils.clip_grad_norm_(task.module.parameters(), plan.clip)
    if not bool(norm.isfinite()):
        name = broken_gradient(task.module)
        raise FloatingPointError(f"the gradient is {float(norm)} at step {step}, first in {name}")
    for optimizer in optimizers:
        optimizer.step()
    return seen


def _resume(
    path: Path,
    module: nn.Module,
    averaged: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    ranks: Ranks,
) -> tuple[int, float]:
    """Restore the first process's state if it has one; the next step and the seconds so far."""
    state = (
        torch.load(path, map_location="cpu", weights_only=True)
        if ranks.first and path.exists()
        else None
    )
    state = ranks.shared(state)
    if state is None:
        return 0, 0.0
    module.load_state_dict(state["module"])
    averaged.load_state_dict(state["averaged"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return int(state["step"]), float(state["seconds"])


def _save(
    path: Path,
    step: int,
    seconds: float,
    module: nn.Module,
    averaged: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
) -> None:
    state: dict[str, Any] = {
        "step": step,
        "seconds": seconds,
        "module": module.state_dict(),
        "averaged": averaged.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)
