"""The step clock: where on its trajectory a network is called, for tables indexed by step."""

from collections.abc import Iterable

import torch
from jaxtyping import Int
from torch import Tensor, nn


def net_of(name: str, nets: Iterable[str]) -> str:
    """The innermost of the sub-networks `nets` that holds the module `name` ("" holds all).

    ValueError when none does.
    """
    known = list(nets)
    holders = [net for net in known if not net or f"{name}.".startswith(f"{net}.")]
    if not holders:
        raise ValueError(f"no clock covers {name!r}: there are clocks for {known}")
    return max(holders, key=len)


class StepClock(nn.Module):
    """The position of the current call, read by every step-indexed table of one network.

    `index` always has two axes, broadcast against (batch, token): (1, 1) for one step, (batch, 1)
    for mixed diffusion steps, (1, token) for teacher-forced autoregression. It is a non-persistent
    buffer overwritten in place, because a Python integer would make `torch.compile` specialise on
    every step. Only the driver sets it; a layer never counts.
    """

    index: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("index", torch.full((1, 1), -1), persistent=False)

    def set(self, index: Tensor) -> None:
        """Move to a copy of `index`; raise ValueError unless its axes are (batch, token)."""
        if index.ndim != 2:
            raise ValueError(
                f"a step index needs two axes (batch, token), got shape {tuple(index.shape)}"
            )
        if index.shape == self.index.shape:
            self.index.copy_(index)
        else:
            # A copy even on one device: the next index of this shape overwrites it in place.
            self.index = index.to(self.index.device, copy=True)

    def unset(self) -> None:
        """Forget the position, so that a forward pass outside a trajectory is an error."""
        self.index = torch.full((1, 1), -1, device=self.index.device)

    def read(self) -> Int[Tensor, "batch token"]:
        """The current index; raise RuntimeError when no driver has set one."""
        if not torch.compiler.is_compiling() and bool((self.index < 0).any()):
            raise RuntimeError(
                "the step clock is not set: run the network through `drive`, or call `clock.set`"
            )
        return self.index
