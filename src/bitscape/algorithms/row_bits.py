"""Bits for each row of a weight, their mean fixed: OMQ of MPQ-DM and its error-driven form.

Feng et al., "MPQ-DM: Mixed Precision Quantization for Extremely Low Bit Diffusion Models",
arXiv:2412.11549.

A choice gives each row -1, 0 or 1 bit more than the others. It reads the rows and `errors[b]`, the
squared error of each row's output at one bit less, as many, and one more. Errors of rows add up, so
that any choice is priced from that one table.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

Matrix = Float[Tensor, "out in"]
Errors = Float[Tensor, "3 out"]
Offsets = Int[Tensor, " out"]
Choice = Callable[[Matrix, Errors], Offsets]

GROUPS = 10
"""Rows move in groups of a tenth."""
PLUS = 0.1
"""The share of rows that get a bit more in the "plus" variant."""


def kurtosis(W: Matrix) -> Float[Tensor, " out"]:
    """mean((w - mu)^4) / sd^4 of each row, sd^2 divided by n - 1; about 3 for Gaussian rows.

    A row of one value has none, and gets 0.
    """
    centred = W.double() - W.double().mean(dim=1, keepdim=True)
    variance = centred.square().sum(dim=1) / max(W.shape[1] - 1, 1)
    fourth = centred.pow(4).mean(dim=1)
    live = variance > 0
    return (fourth / variance.where(live, torch.ones_like(variance)).square() * live).to(W.dtype)


def row_errors(
    X: Float[Tensor, "row in"],
    X_hat: Float[Tensor, "row in"],
    W: Matrix,
    W_hat: Matrix,
    weights: Float[Tensor, " row"],
) -> Float[Tensor, " out"]:
    """sum over rows of (X^ W^^T - X W^T)^2 for each output, each row times its weight."""
    error = (X_hat - X) @ W_hat.T + X @ (W_hat - W).T
    return weights @ error.square()


def swap_by_error(W: Matrix, errors: Errors) -> Offsets:
    """The offsets of least error among all whose sum is zero.

    Not in the paper, which ranks rows by kurtosis: that does not see how large a row's error is.
    Where errors are convex in the bits this gives a bit to the p rows of greatest gain e(n) -
    e(n+1) and takes one from those of least loss e(n-1) - e(n), for the largest p whose gain is
    above its loss. They need not be at two bits, so the rows are gone through one by one, with the
    least error for every sum so far: exact, in rows^2 steps.
    """
    rows = len(W)
    # Sums reach from -rows to rows; a tie leaves the row as it is.
    least = torch.full((2 * rows + 3,), torch.inf, dtype=torch.float64, device=errors.device)
    least[rows + 1] = 0
    # Bytes, because this is the one table of rows^2 numbers.
    taken = torch.empty((rows, 2 * rows + 1), dtype=torch.int8, device=errors.device)
    for row, (down, stay, up) in enumerate(errors.double().T):
        tried = torch.stack([least[1:-1] + stay, least[:-2] + up, least[2:] + down])
        least[1:-1], taken[row] = tried.min(dim=0)
    offsets, place = torch.zeros(rows, dtype=torch.int64, device=errors.device), rows
    for row in reversed(range(rows)):
        offset = (0, 1, -1)[int(taken[row][place])]
        offsets[row] = offset
        place -= offset
    return offsets


def keep_uniform(W: Matrix, errors: Errors) -> Offsets:
    """No row at another width than the others: what swaps are compared with."""
    del errors
    return torch.zeros(len(W), dtype=torch.int64, device=W.device)


def swap_by_kurtosis(W: Matrix, errors: Errors) -> Offsets:
    """The rows of greatest kurtosis up and those of least down, of all shares the best.

    Shares are multiples of a tenth up to a half, none among them. The public code tries none and a
    tenth, under unrounded activations.
    """
    rows = len(W)
    order = kurtosis(W).argsort(descending=True, stable=True)
    step = max(rows // GROUPS, 1)
    counts = range(0, rows // 2 + 1, step)[: GROUPS // 2 + 1]
    tried = [_moved(rows, order[:count], order[rows - count :]) for count in counts]
    return min(tried, key=lambda offsets: float(_total(errors, offsets)))


def raise_by_error(W: Matrix, errors: Errors) -> Offsets:
    """A bit more for the tenth of the rows that gain most: no row pays for it."""
    del W
    order = (errors[1] - errors[2]).argsort(descending=True, stable=True)
    return _moved(len(order), order[: round(PLUS * len(order))], order[:0])


def raise_by_kurtosis(W: Matrix, errors: Errors) -> Offsets:
    """A bit more for the tenth of the rows of greatest kurtosis."""
    del errors
    order = kurtosis(W).argsort(descending=True, stable=True)
    return _moved(len(order), order[: round(PLUS * len(order))], order[:0])


def _total(errors: Errors, offsets: Offsets) -> Tensor:
    return errors.gather(0, (offsets + 1)[None]).sum()


def _moved(rows: int, up: Tensor, down: Tensor) -> Offsets:
    offsets = torch.zeros(rows, dtype=torch.int64, device=up.device)
    offsets[up] = 1
    offsets[down] = -1
    return offsets
