"""From float activations to int8 codes, with the prologue fused in.

Adding 1.5 2^23 to a float rounds it to an integer, ties to even, and leaves that integer in the low
bits of its mantissa. Scaling, rounding and the offset are then one multiply-add, and the codes are
the low bytes of the result: three passes over the activations instead of six.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from bitscape.formats import Int
from bitscape.nn import ActivationQuantizer, QuantLinear
from bitscape.quantizers import dynamic_grid
from bitscape.runtime.prologue import Prologue

_ROUND = 1.5 * 2.0**23


@dataclass(frozen=True)
class Rounded:
    """Codes (rows, in) and the grid they lie on: x = scale (code - zero).

    Scale and zero are numbers when all rows share them, else columns (rows, 1).
    """

    codes: Tensor
    scale: float | Tensor
    zero: int | Tensor


class Rounder(nn.Module):
    """Prologue and activation quantizer of a layer in one step.

    `dtype` is what the kernel multiplies: uint8, where codes of signed formats are lifted by 128,
    or int8, where those of unsigned formats are lowered by 128.
    """

    def __init__(self, layer: QuantLinear, dtype: torch.dtype) -> None:
        super().__init__()
        assert layer.activation is not None
        assert isinstance(layer.activation.scheme.format, Int)
        self.activation: ActivationQuantizer = layer.activation
        self.format: Int = layer.activation.scheme.format
        self.dtype = dtype
        self.lift = (128 if self.format.signed else 0) - (128 if dtype == torch.int8 else 0)
        self.prologue = Prologue(layer)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Rounded:
        """The codes of x, rows flattened."""
        if self.activation.scheme.dynamic:
            return self._dynamic(self.prologue(x.float()).flatten(end_dim=-2))
        grid = self.activation.grid(x)
        if grid.scale.numel() > 1:
            return self._by_row(x, grid.scale, grid.zero)
        zero = self.lift + (0 if grid.zero is None else int(grid.zero))
        return self._static(x.float().flatten(end_dim=-2), float(grid.scale), zero)

    def _static(self, x: Float32[Tensor, "row in"], scale: float, zero: int) -> Rounded:
        inverse, offset = self.prologue.inverse, self.prologue.offset
        if self.prologue.rotation:
            x, inverse, offset = self.prologue(x), None, None
        # A vector, because a scalar operand would be read through a slower broadcast.
        factor = x.new_full(x.shape[1:], 1 / scale) if inverse is None else inverse / scale
        start = x.new_full(x.shape[1:], _ROUND + zero) if offset is None else offset / scale
        y = torch.addcmul(start, x, factor)
        if offset is not None:
            # The offset has a fraction, which would be lost if it met the large constant first.
            y.add_(_ROUND + zero)
        return Rounded(self._codes(y), scale, zero)

    def _by_row(self, x: Tensor, scale: Tensor, zero: Tensor | None) -> Rounded:
        """Codes on a static grid that differs between tokens or samples."""
        u = self.prologue(x.float())
        shape = (*x.shape[:-1], 1)
        scales = scale.expand(shape).reshape(-1, 1)
        zeros = torch.zeros_like(scales) if zero is None else zero.expand(shape).reshape(-1, 1)
        return self._on_grid(u.flatten(end_dim=-2), scales, zeros + self.lift)

    def _dynamic(self, u: Float32[Tensor, "row in"]) -> Rounded:
        if not self.activation.scheme.symmetric:
            grid = dynamic_grid(u, self.activation.scheme)
            assert grid.zero is not None
            return self._on_grid(u, grid.scale, grid.zero + self.lift)
        scale = u.abs().amax(dim=-1, keepdim=True).div_(self.format.highest or self.format.largest)
        scale.masked_fill_(scale == 0, 1.0)
        # No clamp: the scale was made for the greatest magnitude of the row.
        y = u.mul(1 / scale).add_(_ROUND + self.lift)
        return Rounded(y.view(torch.int32).to(self.dtype), scale, self.lift)

    def _on_grid(self, u: Tensor, scale: Tensor, zero: Tensor) -> Rounded:
        return Rounded(self._codes(u.mul(1 / scale).add_(zero + _ROUND)), scale, zero)

    def _codes(self, y: Float32[Tensor, "row in"]) -> Tensor:
        low = _ROUND + self.lift + self.format.lowest
        y.clamp_(low, low + self.format.highest - self.format.lowest)
        return y.view(torch.int32).to(self.dtype)
