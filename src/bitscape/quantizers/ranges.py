"""Range rules: from a grouped tensor to the grid that covers it."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.formats import Format
from bitscape.quantizers.affine import Grid, rounding_error

RangeRule = Callable[[Float[Tensor, "*view size"], Format, bool], Grid]

# Elements times candidates that `mse` evaluates at once: few enough to stay near the cache.
_CHUNK = 1 << 20


def bounds_grid(
    low: Float[Tensor, "*view"], high: Float[Tensor, "*view"], fmt: Format, symmetric: bool
) -> Grid:
    """The grid that reaches from `low` to `high`, with zero on the grid.

    Symmetric: scale = max(-low, high) / highest. Asymmetric: the range is widened to hold zero,
    scale = (high - low) / (2^b - 1) and zero = round(-low / scale). A range of nothing but zero
    gets scale 1 and zero 0. NaN stays NaN.
    """
    low, high = low.float().clamp(max=0.0), high.float().clamp(min=0.0)
    if symmetric:
        # int1 has no positive value: its grid {-1, 0} reaches downwards only.
        return Grid(_positive(torch.maximum(-low, high) / (fmt.highest or fmt.largest)))
    # Divided before the difference, which would overflow for the greatest floats.
    scale = _positive(high / fmt.highest - low / fmt.highest)
    return Grid(scale, (-low / scale).round().clamp(fmt.lowest, fmt.highest))


def minmax(x: Float[Tensor, "*view size"], fmt: Format, symmetric: bool) -> Grid:
    """The grid that reaches the extremes of each group."""
    _check_finite(x)
    low, high = x.aminmax(dim=-1, keepdim=True)
    return bounds_grid(low, high, fmt, symmetric)


def percentile(p: float) -> RangeRule:
    """The rule that leaves 100 - `p` percent of each group outside the range.

    Symmetric: of the magnitudes. Asymmetric: half of it at either end. Quantiles are of the nearest
    rank. A group whose range would be nothing but zero keeps its extremes.
    """
    if not 50.0 < p <= 100.0:
        raise ValueError(f"a percentile range needs a percentage in (50, 100], got {p}")

    def rule(x: Float[Tensor, "*view size"], fmt: Format, symmetric: bool) -> Grid:
        _check_finite(x)
        y = x.float().abs() if symmetric else x.float()
        # The small term is for percentages that binary fractions miss: 100 - 99.9 is below 0.1.
        outside = int(y.shape[-1] * (100 - p) / (100 if symmetric else 200) + 1e-6)
        high = y.kthvalue(y.shape[-1] - outside, dim=-1, keepdim=True).values
        low = y.kthvalue(1 + outside, dim=-1, keepdim=True).values
        least, most = y.aminmax(dim=-1, keepdim=True)
        empty = (high == 0) if symmetric else (low == 0) & (high == 0)
        return bounds_grid(
            torch.where(empty, least, low), torch.where(empty, most, high), fmt, symmetric
        )

    return rule


def mse(steps: int = 80, norm: float = 2.0, stride: float = 0.01) -> RangeRule:
    """The rule that shrinks both ends by 1 - `stride` i, i < `steps`, and keeps the least error.

    The error of a group is the sum of |x - x^|^norm, before the scale itself is rounded. All groups
    and candidates are evaluated at once, in chunks of bounded memory.
    """
    if steps < 1 or (steps - 1) * stride >= 1:
        raise ValueError(
            f"an mse range tries 1 to {int(1 / stride)} candidates {stride:g} apart, got {steps}"
        )

    def rule(x: Float[Tensor, "*view size"], fmt: Format, symmetric: bool) -> Grid:
        _check_finite(x)
        rows = x.reshape(-1, x.shape[-1]).float()
        shrink = 1 - stride * torch.arange(steps, device=x.device)
        chunk = max(1, _CHUNK // (steps * rows.shape[1]))
        best = [
            _least_error(part, shrink, fmt, symmetric, norm) for part in torch.split(rows, chunk)
        ]
        low = torch.cat([low for low, _ in best]).view(*x.shape[:-1], 1)
        high = torch.cat([high for _, high in best]).view(*x.shape[:-1], 1)
        return bounds_grid(low, high, fmt, symmetric)

    return rule


def _least_error(
    rows: Tensor, shrink: Tensor, fmt: Format, symmetric: bool, norm: float
) -> tuple[Tensor, Tensor]:
    low, high = rows.aminmax(dim=-1, keepdim=True)
    errors = []
    for factors in torch.split(shrink, max(1, _CHUNK // rows.numel())):
        grid = bounds_grid(
            (low * factors).unsqueeze(-1), (high * factors).unsqueeze(-1), fmt, symmetric
        )
        x = rows.unsqueeze(1)  # (rows, 1, size) against scales (rows, candidates, 1)
        error = rounding_error(x, grid, fmt)
        errors.append((error.square_() if norm == 2 else error.abs_().pow_(norm)).sum(dim=-1))
    factor = shrink[torch.cat(errors, dim=1).argmin(dim=1, keepdim=True)]
    return low * factor, high * factor


def least_error_of(*rules: RangeRule) -> RangeRule:
    """The rule that takes, for each group, the grid of least squared error among those of `rules`.

    The first of equal ones.
    """

    def rule(x: Float[Tensor, "*view size"], fmt: Format, symmetric: bool) -> Grid:
        grids = [found(x, fmt, symmetric) for found in rules]
        y = x.float()
        errors = [
            rounding_error(y, grid, fmt).square_().sum(dim=-1, keepdim=True) for grid in grids
        ]
        best = torch.stack(errors).argmin(dim=0, keepdim=True)
        scale = torch.stack([grid.scale for grid in grids]).gather(0, best)[0]
        if symmetric:
            return Grid(scale)
        zeros = [grid.zero for grid in grids if grid.zero is not None]
        return Grid(scale, torch.stack(zeros).gather(0, best)[0])

    return rule


RANGES: dict[str, RangeRule] = {
    "minmax": minmax,
    "percentile": percentile(99.9),
    "mse": mse(),
    "mse2.4": mse(norm=2.4),
    # The candidates of PTQ4ARVG: 0.1, 0.01 or 0.001 percent outside at either end.
    "percentiles": least_error_of(percentile(99.8), percentile(99.98), percentile(99.998)),
    # Ends cut apart and ends shrunk together, with the extremes among the candidates of both.
    "search": least_error_of(*(percentile(p) for p in (99.98, 99.8, 99.0)), mse()),
    # For looks at many candidates: a fifth of the work of `mse`.
    "quick": mse(steps=16, stride=0.05),
}


def _positive(scale: Tensor) -> Tensor:
    # Scales below the normal floats would lose their precision, and underflow to zero.
    smallest = torch.finfo(scale.dtype).tiny
    return torch.where(scale == 0, torch.ones_like(scale), scale.clamp(min=smallest))


def _check_finite(x: Tensor) -> None:
    if not bool(x.isfinite().all()):
        wrong = int((~x.isfinite()).sum())
        raise ValueError(
            f"{wrong} of {x.numel()} values are NaN or infinite: repair them before quantizing"
        )
