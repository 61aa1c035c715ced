"""GPTQ: greedy rounding, column after column, each correcting the errors of those before it.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers", arXiv:2210.17323. The paper spreads the error of column q over all later columns
with rows of the Cholesky factor of H^-1. The same numbers come out when column q instead gathers
what the earlier columns left for it (Chen et al., "The Geometry of LLM Quantization: GPTQ as
Babai's Nearest Plane Algorithm", arXiv:2507.18553): with H = R R^T, R upper triangular,

    w'_q = w_q + sum_{p<q} (w_p - w^_p) F_qp,        F_qp = R_pq / R_qq,

which needs one factorisation of H and no inverse.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Columns rounded between two matrix products inside a block; the products of a longer stretch are
# bound by memory, those of a shorter one by the cost of starting them.
STRETCH = 16
# Factorisations tried, each with ten times the damping of the one before.
ATTEMPTS = 8


@runtime_checkable
class ColumnQuantizer(Protocol):
    """How columns are rounded: any format, any grid.

    `group` is the number of columns whose grid is fitted together, from weights already corrected
    for all columns before them; None when the grids are fixed beforehand.
    """

    @property
    def group(self) -> int | None: ...

    def prepare(self, corners: Float[Tensor, "steps width width"], columns: list[int]) -> None:
        """Learn what errors cost: e at the columns from `columns[width i]` costs |corners[i] e|^2.

        That is what is left once all columns that are still to come have made up for it.
        """
        ...

    def fit(self, columns: Float[Tensor, "out group"], index: int) -> None:
        """Fit the grid of the group that starts at column `index`."""
        ...

    def round(self, columns: Float[Tensor, "out width"], index: int) -> Float[Tensor, "out width"]:
        """The representable values nearest to `columns`, of which the first is column `index`."""
        ...


@dataclass(frozen=True)
class GPTQReport:
    """What happened: `loss` is tr((W - W^) H (W - W^)^T) of the damped H, `damping` the one used.

    `attempts` above one means that the factorisation failed and was repaired by more damping.
    """

    loss: float
    damping: float
    attempts: int
    dead: int


def gptq(
    W: Float[Tensor, "out in"],
    H: Float[Tensor, "in in"],
    *,
    quantizer: ColumnQuantizer,
    width: int = 1,
    block: int = 128,
    damping: float = 0.01,
    act_order: bool = False,
) -> tuple[Float[Tensor, "out in"], GPTQReport]:
    """The rounded weights, in the dtype of `H`, and a report.

    `width` columns are rounded at a time (vector quantization). `act_order` visits columns by
    falling diagonal of H, which needs grids fixed beforehand.
    """
    _check(W, H, quantizer, width, act_order)
    order = column_order(H, width, act_order)
    dead = H.diagonal()[order] == 0
    R, used, attempts = factorise(H, order, damping)
    corners, F = feedback(R, width)
    quantizer.prepare(corners, order.tolist())
    plain = W.to(H.dtype).T.index_select(0, order)
    plain[dead] = 0
    scratch = torch.empty_like(plain[: max(block, width)])
    sweep = _Sweep(plain, plain.clone(), scratch, F, quantizer, order.tolist())
    loss = 0.0
    for start, stop in _blocks(len(order), block, quantizer.group, width):
        loss += sweep.block(start, stop, corners[start // width : stop // width])
        sweep.gather(stop, len(order), start, stop)
    rounded = sweep.wanted[order.argsort()] if act_order else sweep.wanted
    return rounded.T, GPTQReport(loss, used, attempts, int(dead.sum()))


def column_order(H: Float[Tensor, "in in"], width: int, act_order: bool) -> Int[Tensor, " in"]:
    """The order in which columns are visited: by falling diagonal of H, `width` staying together.

    The "act-order" option of the official code; the paper keeps the columns as they are.
    """
    columns = torch.arange(H.shape[0], device=H.device)
    if not act_order:
        return columns
    weight = H.diagonal().view(-1, width).sum(1)
    return columns.view(-1, width)[weight.argsort(descending=True, stable=True)].flatten()


def factorise(
    H: Float[Tensor, "in in"], order: Int[Tensor, " in"], damping: float
) -> tuple[Float[Tensor, "in in"], float, int]:
    """R^T of the damped H = R R^T in visiting order (lower triangular), the damping, the attempts.

    H + damping mean(diag H) I, with 1 on the diagonal of dead columns. A failed factorisation is
    repeated with ten times the damping; ValueError when that does not help.
    """
    backwards = order.flip(0)
    failed = torch.zeros((), dtype=torch.int32, device=H.device)
    for attempt in range(1, ATTEMPTS + 1):
        # Symmetric, so the view in column order that the factorisation can overwrite is the same.
        L = H[backwards[:, None], backwards].mT
        diagonal = L.diagonal()
        diagonal[diagonal == 0] = 1
        diagonal += damping * diagonal.mean()
        torch.linalg.cholesky_ex(L, out=(L, failed))
        if not failed:
            # Reversed rows and columns turn a lower into an upper factor.
            return L.mT.flip(0, 1), damping, attempt
        damping = max(10 * damping, 1e-4)
    raise ValueError(
        f"the Hessian is not positive definite even with damping {damping / 10:g}: "
        "the calibration inputs hold infinities or cancel; check them"
    )


def feedback(
    R: Float[Tensor, "in in"], width: int
) -> tuple[Float[Tensor, "steps width width"], Float[Tensor, "in in"]]:
    """The diagonal blocks of the lower triangular `R`, and F = blockdiag(R)^-1 R written over it.

    F[q, p] is the share of the error of column p that column q takes.
    """
    rows = R.view(len(R) // width, width, len(R))
    corners = _corners(R, width).clone()
    if width == 1:
        rows /= corners
    else:
        rows.copy_(torch.linalg.solve_triangular(corners, rows, upper=False))
    return corners, R


def relative_error(
    W: Float[Tensor, "out in"], W_hat: Float[Tensor, "out in"], H: Float[Tensor, "in in"]
) -> float:
    """tr((W - W^) H (W - W^)^T) / tr(W H W^T): the share of the output's energy that is lost."""
    W, W_hat = W.to(H.dtype), W_hat.to(H.dtype)
    difference = W - W_hat
    lost = ((difference @ H) * difference).sum(dtype=torch.float64)
    whole = ((W @ H) * W).sum(dtype=torch.float64)
    return float(lost / whole) if whole > 0 else 0.0


@dataclass(frozen=True)
class _Sweep:
    """The transposed weights in visiting order, overwritten as the sweep over them advances.

    `plain` holds w, and w - w^ once a column is rounded; `wanted` holds what is known of w', and w^
    once a block is done. Two buffers, because fresh memory costs more than the arithmetic.
    """

    plain: Float[Tensor, "in out"]
    wanted: Float[Tensor, "in out"]
    scratch: Float[Tensor, "block out"]
    F: Float[Tensor, "in in"]
    quantizer: ColumnQuantizer
    columns: list[int]

    def block(self, start: int, stop: int, corners: Float[Tensor, "steps width width"]) -> float:
        """Round the columns [start, stop), and return their share of the loss."""
        width, group = corners.shape[1], self.quantizer.group
        rounded = self.scratch[: stop - start]
        for first, last in _stretches(start, stop, group, width):
            if group is not None and first % group == 0:
                self.quantizer.fit(self.corrected(first, first + group), first)
            for q in range(first, last, width):
                span = slice(q, q + width)
                self.gather(q, q + width, first, q)
                values = self.quantizer.round(self.wanted[span].T, self.columns[q]).T
                rounded[q - start : q - start + width] = values
                self.plain[span] -= values
            self.gather(last, stop, first, last)
        left = self.wanted[start:stop].sub_(rounded)
        loss = (_corners(left @ left.T, width) * (corners.mT @ corners)).sum()
        self.wanted[start:stop] = rounded
        return float(loss)

    def gather(self, start: int, stop: int, first: int, last: int) -> None:
        """Add to the wanted values of [start, stop) what the errors of [first, last) ask."""
        if start < stop and first < last:
            self.wanted[start:stop].addmm_(self.F[start:stop, first:last], self.plain[first:last])

    def corrected(self, start: int, stop: int) -> Float[Tensor, "out group"]:
        """The weights of [start, stop) as the paper has them before the first of them is rounded.

        There the correction of a column presumes that later columns will be corrected too, which
        `wanted` does not: undo it within the group by the triangular solve.
        """
        span = slice(start, stop)
        left = self.wanted[span] - self.plain[span]
        corner = self.F[span, span]
        solved = torch.linalg.solve_triangular(corner, left, upper=False, unitriangular=True)
        result: Tensor = (self.plain[span] + solved).T
        return result


def _corners(A: Float[Tensor, "n n"], width: int) -> Float[Tensor, "steps width width"]:
    """The `width` x `width` blocks on the diagonal of `A`, as a view."""
    steps = len(A) // width
    return A.view(steps, width, steps, width).diagonal(dim1=0, dim2=2).permute(2, 0, 1)


def _blocks(n: int, block: int, group: int | None, width: int) -> Iterator[tuple[int, int]]:
    """Stretches of columns between two updates of all later columns; a group starts a stretch."""
    if group is not None and group > block:
        for start, stop in _spans(0, n, group):
            yield from _spans(start, stop, block - block % width or width)
    else:
        yield from _spans(0, n, block - block % (group or width) or width)


def _stretches(start: int, stop: int, group: int | None, width: int) -> Iterator[tuple[int, int]]:
    for first, last in _spans(start, stop, group or stop - start):
        yield from _spans(first, last, STRETCH - STRETCH % width or width)


def _spans(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    for first in range(start, stop, size):
        yield first, min(first + size, stop)


def _check(W: Tensor, H: Tensor, quantizer: ColumnQuantizer, width: int, act_order: bool) -> None:
    n = W.shape[1]
    assert H.shape == (n, n)
    group = quantizer.group or n
    if n % group or group % width:
        raise ValueError(f"{n} columns do not divide into groups of {group} and steps of {width}")
    if act_order and quantizer.group is not None:
        raise ValueError("act_order visits groups in pieces: use it with static_groups=True")
    # The extremes of a tensor are finite only when all of it is, and need no copy of it.
    if not all(extreme.isfinite() for extreme in W.aminmax()):
        raise ValueError("the weight holds NaN or infinity: repair the checkpoint")
    if not torch.isfinite(H.diagonal()).all():
        raise ValueError("the Hessian holds NaN or infinity: check the calibration inputs")
