"""Adam for tables of which each step of training reads a few entries."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class LazyAdam(torch.optim.Optimizer):
    """Adam with moments and a count of steps for each entry.

    An entry whose gradient is exactly zero was not read: it stays where it is, and its moments as
    they are, where Adam would move it on by its momentum. With every entry read it is Adam
    (Kingma and Ba, arXiv:1412.6980, algorithm 1).
    """

    def __init__(
        self, params: Any, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move the entries that have a gradient."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state.update({k: torch.zeros_like(parameter) for k in ("steps", "mean", "square")})
        first, second = group["betas"]
        read = gradient != 0
        state["steps"] += read
        for key, value, beta in (("mean", gradient, first), ("square", gradient**2, second)):
            state[key] = torch.where(read, beta * state[key] + (1 - beta) * value, state[key])
        steps = state["steps"].clamp(min=1)
        mean = state["mean"] / (1 - first**steps)
        root = (state["square"] / (1 - second**steps)).sqrt() + group["eps"]
        parameter.sub_(read * group["lr"] * mean / root)
