"""GPTQ of one large layer: ours against the plain column loop of the paper, in one run.

    python benchmarks/gptq.py --size 4096 --rows 8192 --threads 2

Both accumulate the Hessian and solve in float32 with the same grids, damping, grouping and order;
both are timed from inputs to rounded weights. Runs alternate, so that a busy machine slows both.
The plain loop is written from the paper (arXiv:2210.17323, algorithm 1): inverse Hessian, its
Cholesky factor, blocks of 128 columns and an outer product for each column.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from bitscape.algorithms import FittedGroups, FixedGrids, gptq
from bitscape.calibration import Hessian
from bitscape.formats import TensorScheme, parse_scheme
from bitscape.quantizers import minmax
from bitscape.structure import constant_step

BLOCK = 128
DAMPING = 0.01


def layer(size: int, rows: int) -> tuple[Tensor, Tensor]:
    """A weight and correlated inputs whose channels fall off with their rank."""
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(size, size, generator=generator) / size**0.5
    mix *= torch.arange(1, size + 1)[:, None] ** -0.5
    X = torch.randn(rows, size, generator=generator) @ mix
    return torch.randn(size, size, generator=generator), X


def columns(W: Tensor, scheme: TensorScheme, act_order: bool) -> FixedGrids | FittedGroups:
    """The grids of the scheme; groups are fitted on the way unless columns change places."""
    if scheme.granularity.kind == "group" and not act_order:
        return FittedGroups(scheme, minmax)
    return FixedGrids.of(W, scheme, minmax)


def ours(W: Tensor, X: Tensor, scheme: TensorScheme, act_order: bool) -> Tensor:
    """The library's way."""
    hessian = Hessian(X.shape[1])
    hessian.update(X[None], constant_step(0))
    quantizer = columns(W, scheme, act_order)
    return gptq(W, hessian.matrix(), quantizer=quantizer, damping=DAMPING, act_order=act_order)[0]


def plain(W: Tensor, X: Tensor, scheme: TensorScheme, act_order: bool) -> Tensor:
    """The paper's way."""
    quantizer = columns(W, scheme, act_order)
    H = X.T @ X * (2 / len(X))
    H += DAMPING * H.diagonal().mean() * torch.eye(len(H))
    order = H.diagonal().argsort(descending=True) if act_order else torch.arange(len(H))
    H, W = H[order][:, order], W[:, order].clone()
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(H))
    U = torch.linalg.cholesky(inverse, upper=True)
    W_hat = torch.empty_like(W)
    for start in range(0, len(H), BLOCK):
        stop = min(start + BLOCK, len(H))
        errors = torch.empty_like(W[:, start:stop])
        for q in range(start, stop):
            index = int(order[q])
            if quantizer.group is not None and q % quantizer.group == 0:
                quantizer.fit(W[:, q : q + quantizer.group], index)
            W_hat[:, q : q + 1] = quantizer.round(W[:, q : q + 1], index)
            error = (W[:, q] - W_hat[:, q]) / U[q, q]
            W[:, q:stop] -= error[:, None] * U[q, q:stop]
            errors[:, q - start] = error
        W[:, stop:] -= errors @ U[start:stop, stop:]
    return W_hat[:, order.argsort()]


def seconds(run: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """The time that `run` took, and what it returned."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def compare(size: int, rows: int, text: str, act_order: bool, repeats: int) -> dict[str, object]:
    """Median times of both, their ratio, and the ratio of squared output errors."""
    scheme = parse_scheme(text).default.weight
    if scheme is None:
        raise ValueError(f"{text} has no weight format")
    W, X = layer(size, rows)
    ways = {name: partial(way, W, X, scheme, act_order) for name, way in WAYS.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    errors: dict[str, float] = {}
    for _ in range(repeats):
        for name, way in ways.items():
            taken, W_hat = seconds(way)
            times[name].append(taken)
            errors[name] = float((X @ (W - W_hat).T).square().sum())
    median = {name: statistics.median(taken) for name, taken in times.items()}
    return {
        "scheme": text,
        "act_order": act_order,
        "size": size,
        "rows": rows,
        "threads": torch.get_num_threads(),
        "seconds": {name: [round(t, 3) for t in taken] for name, taken in times.items()},
        "speedup": round(median["plain"] / median["ours"], 2),
        "error_ratio": round(errors["ours"] / errors["plain"], 4),
    }


WAYS = {"ours": ours, "plain": plain}


def main() -> None:
    """Print one line of JSON for each setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with torch.no_grad():
        for scheme, act_order in (("W4A16", False), ("W4A16", True), ("W4A16@g128", False)):
            settings = (arguments.size, arguments.rows, scheme, act_order, arguments.repeats)
            print(json.dumps(compare(*settings)), flush=True)


if __name__ == "__main__":
    main()
