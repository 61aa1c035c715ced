"""From float activations to int8 codes, with the prologue fused in.

Adding 1.5 2^23 to a float rounds it to an integer, ties to even, and leaves that integer in the low
bits of its mantissa. Scaling, rounding and the offset are then one multiply-add, and the codes are
the low bytes of the result: three passes over the activations instead of six.

`dtype` is what the kernel multiplies: uint8, where codes of signed formats are lifted by 128, or
int8, where those of unsigned formats are lowered by 128. Behind its codes each row holds its zero
point `tail` times, for kernels that correct for it by columns of the weight.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from bitscape.formats import Int
from bitscape.nn import QuantLinear
from bitscape.quantizers import dynamic_grid
from bitscape.runtime.packed import Packed
from bitscape.runtime.prologue import Prologue

ROUND = 1.5 * 2.0**23


@dataclass(frozen=True)
class Rounded:
    """Codes (rows, in + tail) and the grid they lie on: x = scale (code - zero).

    Scale and zero are numbers when all rows share them, else columns (rows, 1).
    """

    codes: Tensor
    scale: float | Tensor
    zero: int | Tensor

    def parts(self, rows: int) -> Iterator[tuple[slice, "Rounded"]]:
        """Runs of up to `rows` rows, with their places."""
        for start in range(0, len(self.codes), rows):
            part = slice(start, start + rows)
            scale = self.scale[part] if isinstance(self.scale, Tensor) else self.scale
            zero = self.zero[part] if isinstance(self.zero, Tensor) else self.zero
            yield part, Rounded(self.codes[part], scale, zero)


@dataclass(frozen=True)
class Target:
    """What the kernel multiplies: integers `fmt` stored as `dtype`, with `tail` zero points."""

    fmt: Int
    dtype: torch.dtype
    tail: int

    @property
    def lift(self) -> int:
        """What is added to an integer of the format to make it fit the dtype."""
        return (128 if self.fmt.signed else 0) - (128 if self.dtype == torch.int8 else 0)

    def codes(self, y: Float32[Tensor, "row in"], zero: int | Tensor) -> Tensor:
        """The integers in the mantissas of `y`, each row's `zero` behind them."""
        whole = y.view(torch.int32)
        if not self.tail:
            return whole.to(self.dtype)
        codes = torch.empty(len(y), y.shape[1] + self.tail, dtype=self.dtype, device=y.device)
        codes[:, : y.shape[1]] = whole
        codes[:, y.shape[1] :] = zero
        return codes

    def clamped(self, y: Float32[Tensor, "row in"], zero: int | Tensor) -> Tensor:
        """The same, where `y` may lie outside the format."""
        bottom = ROUND + self.lift
        return self.codes(y.clamp_(bottom + self.fmt.lowest, bottom + self.fmt.highest), zero)


def rounder(
    layer: QuantLinear, dtype: torch.dtype, tail: int = 0
) -> "StaticRounder | DynamicRounder":
    """The module that gives the `Rounded` input of `layer`, prologue included."""
    assert layer.activation is not None
    fmt = layer.activation.scheme.format
    assert isinstance(fmt, Int)
    target = Target(fmt, dtype, tail)
    if layer.activation.scheme.dynamic:
        return DynamicRounder(layer, target)
    return StaticRounder(layer, target)


class StaticRounder(Packed):
    """Rounds to static ranges: one, or a row of the step table.

    NaN has no code and becomes some finite number; looking for it would cost another pass.
    """

    ones: Tensor

    def __init__(self, layer: QuantLinear, target: Target) -> None:
        super().__init__()
        assert layer.activation is not None
        self.activation, self.target = layer.activation, target
        self.prologue = Prologue(layer)
        scale, zero = self.activation.table_scale, self.activation.table_zero
        assert scale is not None
        # Numbers, because reading one from a tensor takes longer than rounding a short input.
        self.scales: list[float] = scale.flatten().tolist()
        zeros = torch.zeros_like(scale) if zero is None else zero
        self.zeros = [int(value) + target.lift for value in zeros.flatten().tolist()]
        # Vectors, because a scalar operand would be read through a slower broadcast.
        ones = torch.ones(layer.in_features, device=scale.device)
        self.register_buffer("ones", ones)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Rounded:
        """The codes of x, rows flattened."""
        x = x.detach()
        grid = self.shared_grid()
        if grid is None:
            return self._by_row(x)
        return self._by_number(x.reshape(-1, x.shape[-1]), *grid)

    def shared_grid(self) -> tuple[float, int] | None:
        """The scale and the zero point of the codes that all rows share now, if they do."""
        rows = None if len(self.scales) == 1 else self.activation.rows()
        if rows is not None and rows.numel() > 1:
            return None
        row = 0 if rows is None else int(rows)
        return self.scales[row], self.zeros[row]

    @property
    def fills_bytes(self) -> bool:
        """Whether a code is a float times a number, rounded, and as wide as a byte holds."""
        fmt = self.target.fmt
        return self.prologue.empty and fmt.highest - fmt.lowest == 255

    def _by_number(self, x: Float[Tensor, "row in"], scale: float, zero: int) -> Rounded:
        """Codes on a grid that all rows share."""
        inverse, offset = self.prologue.inverse, self.prologue.offset
        if self.prologue.rotation:
            x, inverse, offset = self.prologue(x.float()), None, None
        factor = (self.ones if inverse is None else inverse) * (1 / scale)
        whole = ROUND + zero
        if offset is None:
            y = _multiply_add(x, factor, self.ones * whole)
        else:
            # The offset has a fraction, which would be lost if it met the large constant first.
            y = _multiply_add(x, factor, offset * (1 / scale)).add_(whole)
        return Rounded(self.target.clamped(y, zero), scale, zero)

    def _by_row(self, x: Tensor) -> Rounded:
        """Codes on a grid that differs between tokens or samples."""
        u = self.prologue(x.float())
        grid = self.activation.grid(u)
        shape = (*x.shape[:-1], 1)
        scale = grid.scale.expand(shape).reshape(-1, 1)
        zero = torch.zeros_like(scale) if grid.zero is None else grid.zero.expand(shape)
        return _on_grid(
            u.flatten(end_dim=-2), scale, zero.reshape(-1, 1) + self.target.lift, self.target
        )


class DynamicRounder(Packed):
    """Rounds each token to the range found in it."""

    def __init__(self, layer: QuantLinear, target: Target) -> None:
        super().__init__()
        assert layer.activation is not None
        self.scheme, self.target = layer.activation.scheme, target
        self.prologue = Prologue(layer)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Rounded:
        """The codes of x, rows flattened."""
        u = self.prologue(x.detach().reshape(-1, x.shape[-1]).float())
        lift, fmt = self.target.lift, self.target.fmt
        if not self.scheme.symmetric:
            grid = dynamic_grid(u, self.scheme)
            assert grid.zero is not None
            return _on_grid(u, grid.scale, grid.zero + lift, self.target)
        # Two reductions: `aminmax` along an axis is eight times slower than either.
        low, high = u.amin(dim=-1, keepdim=True), u.amax(dim=-1, keepdim=True)
        scale = torch.maximum(high, low.neg_()).div_(fmt.highest or fmt.largest)
        scale.masked_fill_(scale == 0, 1.0)
        # No clamp: the scale was made for the greatest magnitude of the row.
        y = u.mul(1 / scale).add_(ROUND + lift)
        return Rounded(self.target.codes(y, lift), scale, lift)


def _multiply_add(x: Tensor, factor: Tensor, start: Tensor) -> Float32[Tensor, "row in"]:
    if x.dtype == torch.float32:
        return torch.addcmul(start, x, factor)
    # The copy in float32 is overwritten: fresh memory costs more than the arithmetic.
    y = x.float()
    return torch.addcmul(start, y, factor, out=y)


def _on_grid(u: Tensor, scale: Tensor, zero: Tensor, target: Target) -> Rounded:
    y = u.mul(1 / scale).add_(zero + ROUND)
    return Rounded(target.clamped(y, zero), scale, zero)
