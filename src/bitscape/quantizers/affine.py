"""The affine grid x ~ scale (q - zero), its rounding, and the gradients that pass through it."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.formats import Format, MixedInt


@dataclass(frozen=True)
class Grid:
    """Scales and zero points, broadcast against a grouped view; no zero point when symmetric."""

    scale: Float[Tensor, "*#view"]
    zero: Float[Tensor, "*#view"] | None = None

    def __post_init__(self) -> None:
        if self.zero is not None and self.zero.shape != self.scale.shape:
            raise ValueError(
                f"scale {tuple(self.scale.shape)} and zero {tuple(self.zero.shape)} must have one "
                f"shape"
            )


def quantize(x: Float[Tensor, "*#view"], grid: Grid, fmt: Format) -> Float[Tensor, "*view"]:
    """The values of `fmt` nearest to x / scale + zero, saturated."""
    return fmt.round(_place(x, grid.scale, grid.zero), inplace=True)


def dequantize(q: Float[Tensor, "*#view"], grid: Grid) -> Float[Tensor, "*view"]:
    """scale (q - zero)."""
    return q * grid.scale if grid.zero is None else (q - grid.zero).mul_(grid.scale)


def rounding_error(x: Float[Tensor, "*#view"], grid: Grid, fmt: Format) -> Float[Tensor, "*view"]:
    """x^ - x, with x^ the point of the grid nearest to x."""
    return _nearest(x, grid.scale, grid.zero, fmt).sub_(x)


def fake_quantize(x: Float[Tensor, "*view"], grid: Grid, fmt: Format) -> Float[Tensor, "*view"]:
    """`x` moved onto the grid, in the dtype of `x`.

    The gradient is straight-through: that of the identity inside the range of the format and zero
    where the value saturates (Bengio et al., arXiv:1308.3432).
    """
    return lsq_quantize(x, grid.scale, grid.zero, fmt)


def lsq_quantize(
    x: Float[Tensor, "*view"],
    scale: Float[Tensor, "*#view"],
    zero: Float[Tensor, "*#view"] | None,
    fmt: Format,
    grad_scale: float = 1.0,
) -> Float[Tensor, "*view"]:
    """`x` moved onto a grid whose scale and zero point can be learnt, in the dtype of `x`.

    d/d scale = (q - zero - [inside] x / scale) g and d/d zero = -scale [outside] g, with
    g = `grad_scale`, for which the paper takes 1 / sqrt(n q_max). Learned Step Size Quantization
    (Esser et al., arXiv:1902.08153, eq. 3); the zero point as in LSQ+ (arXiv:2004.09576, eq. 6).
    """
    scale = _scale_gradient(scale, grad_scale)
    zero = None if zero is None else _scale_gradient(zero, grad_scale)
    learnt = [t for t in (x, scale, zero) if t is not None and t.requires_grad]
    if torch.is_grad_enabled() and learnt:
        result: Tensor = _Learned.apply(x, scale, zero, fmt)  # type: ignore[no-untyped-call]
        return result
    return _nearest(x, scale, zero, fmt).to(x.dtype)


class _Learned(torch.autograd.Function):
    """`lsq_quantize` with its gradients written out: half the passes over x, a third of the memory.

    Kept for the way back are d y / d scale and where x lies inside the range.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Tensor | None, fmt: Format) -> Tensor:
        u = _place(x, scale, zero)
        q = fmt.round(u)
        inside = _inside(u, fmt)
        if zero is not None:
            q, u = q - zero, u - zero
        ctx.save_for_backward(torch.where(inside, q - u, q), inside, scale)
        ctx.dtype, ctx.zero = x.dtype, None if zero is None else zero.shape
        return (q * scale).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        by_scale, inside, scale = ctx.saved_tensors
        g = gradients[0].to(by_scale.dtype)
        through = g * inside
        of_x = through.to(ctx.dtype) if ctx.needs_input_grad[0] else None
        of_scale = of_zero = None
        if ctx.needs_input_grad[1]:
            of_scale = (g * by_scale).sum_to_size(scale.shape)
        if ctx.needs_input_grad[2]:
            of_zero = ((through - g) * scale).sum_to_size(ctx.zero)
        return of_x, of_scale, of_zero, None


def _inside(u: Tensor, fmt: Format) -> Tensor:
    # The extremes of a min-max range land on the bounds up to a rounding error: they are inside.
    slack = 4 * torch.finfo(u.dtype).eps * fmt.largest
    low, high = fmt.limits(u) if isinstance(fmt, MixedInt) else (fmt.lowest, fmt.highest)
    return (u >= low - slack) & (u <= high + slack)


# Fresh tensors are changed in place: every pass that allocates costs two of one that does not.
def _place(x: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    return x / scale if zero is None else (x / scale).add_(zero)


def _nearest(x: Tensor, scale: Tensor, zero: Tensor | None, fmt: Format) -> Tensor:
    q = fmt.round(_place(x, scale, zero), inplace=True)
    return (q if zero is None else q.sub_(zero)).mul_(scale)


def _scale_gradient(x: Tensor, factor: float) -> Tensor:
    if factor == 1.0 or not x.requires_grad:
        return x
    return x.detach() + factor * (x - x.detach())
