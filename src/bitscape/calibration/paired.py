"""What a site multiplies in two networks at once, behind rounded layers and behind float ones."""

from collections import deque
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

Inputs = Float[Tensor, "batch *token channel"]
Steps = Int[Tensor, "batch1 token1"]


@dataclass(frozen=True)
class Drift:
    """H = E[u^ u^^T] and D = E[(u - u^) u^^T], or the covariances; `own` is E[u^], `full` E[u]."""

    H: Float[Tensor, "channel channel"]
    D: Float[Tensor, "channel channel"]
    own: Float[Tensor, " channel"]
    full: Float[Tensor, " channel"]


class FullInputs:
    """The full-precision inputs of a site, each held until its rounded fellow is seen."""

    def __init__(self) -> None:
        self.waiting: deque[Tensor] = deque()

    def update(self, u: Inputs, step: Steps) -> None:
        """Hold the inputs of one call."""
        del step
        self.waiting.append(u)


class PairedInputs:
    """Moments of a site's inputs u^ beside those of full precision, u, accumulated call by call.

    Each call has to go through full precision first, watched by `full`. Sums are of 64 bits: the
    covariances that come out are differences of moments.
    """

    def __init__(self, width: int, device: torch.device | None = None) -> None:
        self.rows = 0
        self.full = FullInputs()
        square, line = torch.zeros(2, width, width), torch.zeros(2, width)
        self.products = square.to(device, torch.float64)
        self.sums = line.to(device, torch.float64)

    def update(self, u: Inputs, step: Steps) -> None:
        """Take in the inputs of one call beside those that full precision had in it."""
        del step
        own, full = (x.reshape(-1, x.shape[-1]).double() for x in (u, self.full.waiting.popleft()))
        self.products[0].addmm_(own.T, own)
        self.products[1].addmm_((full - own).T, own)
        self.sums += torch.stack([own.sum(dim=0), full.sum(dim=0)])
        self.rows += len(own)

    def drift(self, *, centred: bool) -> Drift:
        """The moments, about the means if `centred`."""
        H, D = self.products / self.rows
        own, full = self.sums / self.rows
        if centred:
            H, D = H - torch.outer(own, own), D - torch.outer(full - own, own)
        return Drift(H, D, own, full)
