"""The affine grid x ~ scale (q - zero), its rounding, and the gradients that pass through it."""

from dataclasses import dataclass

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
    return fmt.round(_place(x, grid.scale, grid.zero))


def dequantize(q: Float[Tensor, "*#view"], grid: Grid) -> Float[Tensor, "*view"]:
    """scale (q - zero)."""
    return _restore(q, grid.scale, grid.zero)


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
    return _restore(straight_through(_place(x, scale, zero), fmt), scale, zero).to(x.dtype)


def straight_through(u: Float[Tensor, "*view"], fmt: Format) -> Float[Tensor, "*view"]:
    """`fmt.round(u)` with the gradient of clamping `u` to the range of the format."""
    rounded = fmt.round(u.detach())
    if not (torch.is_grad_enabled() and u.requires_grad):
        return rounded
    # The extremes of a min-max range land on the bounds up to a rounding error: they are inside.
    slack = 4 * torch.finfo(u.dtype).eps * fmt.largest
    low, high = fmt.limits(u) if isinstance(fmt, MixedInt) else (fmt.lowest, fmt.highest)
    inside = (u >= low - slack) & (u <= high + slack)
    # u - u is exactly zero, so the forward value is the rounded one to the last bit.
    return rounded + inside * (u - u.detach())


def _place(x: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    return x / scale if zero is None else x / scale + zero


def _restore(q: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    return q * scale if zero is None else (q - zero) * scale


def _scale_gradient(x: Tensor, factor: float) -> Tensor:
    if factor == 1.0 or not x.requires_grad:
        return x
    return x.detach() + factor * (x - x.detach())
