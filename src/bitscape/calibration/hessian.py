"""The Hessian of a layer's squared error, (2 / n) sum u u^T, accumulated call by call."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Columns of one product: wide enough for the cores, narrow enough to skip nearly half the matrix.
PANEL = 512


class Hessian:
    """(2 / n) U^T U of all rows seen so far; the rows themselves are not kept.

    Only the lower triangle is accumulated, in panels of columns, which halves the work.
    """

    def __init__(self, width: int, device: torch.device | None = None) -> None:
        self.rows = 0
        self.lower = torch.zeros(width, width, device=device)

    def update(
        self, u: Float[Tensor, "batch *token channel"], step: Int[Tensor, "batch1 token1"]
    ) -> None:
        """Take in rows; the step does not matter."""
        del step
        X = u.reshape(-1, u.shape[-1]).to(self.lower)
        if not len(X):
            return
        total = self.rows + len(X)
        kept, gained = self.rows / total, 2 / total
        for start in range(0, X.shape[1], PANEL):
            panel = self.lower[start:, start : start + PANEL]
            right = X[:, start : start + PANEL]
            panel.addmm_(X[:, start:].T, right, beta=kept, alpha=gained)
        self.rows = total

    def matrix(self) -> Float[Tensor, "channel channel"]:
        """The whole symmetric matrix, sharing the accumulator's memory."""
        for start in range(0, len(self.lower), PANEL):
            stop = start + PANEL
            self.lower[start:stop, stop:] = self.lower[stop:, start:stop].T
        return self.lower
