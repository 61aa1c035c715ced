"""The one training loop: schedules, averaged weights, logs and exact resumption.

A task supplies parameters and a loss that depends on the step number alone, so a run that was
killed and resumed takes the same steps as one that was not.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


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


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    The rate rises linearly for `warmup` steps, stays, and falls linearly to zero over the last
    `decay` share of the steps (warm-up, stable, decay). `average` is the decay of the exponential
    moving average of the weights.
    """

    steps: int
    warmup: int = 200
    decay: float = 0.3
    clip: float = 1.0
    average: float = 0.999
    log_every: int = 100
    save_seconds: float = 120.0

    def factor(self, step: int) -> float:
        """The share of the base rate used at `step`."""
        rising = min(1.0, (step + 1) / max(self.warmup, 1))
        falling = (self.steps - step) / max(self.decay * self.steps, 1)
        return min(rising, max(falling, 0.0), 1.0)


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
    """The averaged weights of `task.module` after `plan.steps` steps, resuming from `run`."""
    run.folder.mkdir(parents=True, exist_ok=True)
    averaged = AveragedModel(task.module, multi_avg_fn=_moving_average(plan.average))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base_rate"] = group["lr"]
    start, seconds = _resume(run.state, task.module, averaged, optimizers)
    clock, saved = time.monotonic() - seconds, time.monotonic()
    sums: dict[str, float] = {}
    for step in range(start, plan.steps):
        losses = _step(task, optimizers, plan, step)
        averaged.update_parameters(task.module)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value
        if (step + 1) % plan.log_every == 0 or step + 1 == plan.steps:
            means = {name: value / ((step % plan.log_every) + 1) for name, value in sums.items()}
            elapsed = time.monotonic() - clock
            _log(run.log, {"step": step + 1, "seconds": round(elapsed, 1), **means})
            if progress is not None:
                progress(step + 1, plan.steps, means)
            sums = {}
            if time.monotonic() - saved > plan.save_seconds or step + 1 == plan.steps:
                _save(run.state, step + 1, elapsed, task.module, averaged, optimizers)
                saved = time.monotonic()
    result: nn.Module = averaged.module
    return result


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
    task: Task, optimizers: Sequence[torch.optim.Optimizer], plan: Plan, step: int
) -> dict[str, float]:
    """Take one step and return the losses it saw; FloatingPointError when they are not finite."""
    factor = plan.factor(step)
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
        for group in optimizer.param_groups:
            group["lr"] = group["base_rate"] * factor
    losses = task.losses(step)
    losses["loss"].backward()
    if not torch.isfinite(losses["loss"]):
        raise FloatingPointError(f"the loss is {losses['loss'].item()} at step {step}")
    nn.utils.clip_grad_norm_(task.module.parameters(), plan.clip)
    for optimizer in optimizers:
        optimizer.step()
    return {name: value.item() for name, value in losses.items()}


def _resume(
    path: Path,
    module: nn.Module,
    averaged: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
) -> tuple[int, float]:
    """Restore a saved state if there is one; return the next step and the seconds spent so far."""
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
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


def _log(path: Path, record: Mapping[str, float]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")
