"""Linear layers that multiply int8 by int8: weights of one to eight bits, any int activations.

y = s_x s_w (sum_k q_x q_w - z_x sum_k q_w) + bias
"""

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.formats import Int
from bitscape.nn import CodedWeight, QuantLinear
from bitscape.runtime.packed import Packed
from bitscape.runtime.planes import BitPlanes
from bitscape.runtime.rounding import Rounded, Rounder

_MIDDLE = 128


class OnednnLinear(Packed):
    """u8 x s8 through oneDNN with weights laid out once; a shared scale and the bias are fused.

    Activations are unsigned on purpose: with signed ones oneDNN falls to a reference loop.
    """

    scale: Tensor
    bias: Tensor | None
    column_sum: Tensor

    def __init__(self, layer: QuantLinear) -> None:
        super().__init__()
        values, scale = _signed_weight(layer)
        self.rounder = Rounder(layer, torch.uint8)
        self.out_features = layer.out_features
        self.register_buffer("packed", torch.ops.onednn.qlinear_prepack(values, None))
        self.register_buffer("scale", scale)
        self.register_buffer("zero", torch.zeros_like(scale, dtype=torch.int64))
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().float())
        # Only grids that differ between rows need it; they do not share one zero point.
        self.register_buffer("column_sum", scale * values.sum(dim=1, dtype=torch.int64))

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """What the layer computes, in the dtype of `x`."""
        rounded = self.rounder(x)
        scale, zero = rounded.scale, rounded.zero
        if isinstance(scale, Tensor):
            return self._by_row(rounded, scale).to(x.dtype).view(*x.shape[:-1], -1)
        fused = x.dtype if x.dtype == torch.bfloat16 else torch.float32
        y = self._multiply(rounded.codes, scale, int(zero), self.bias, fused)
        return y.to(x.dtype).view(*x.shape[:-1], -1)

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnednnLinear":
        # oneDNN's layout is opaque and cannot be copied; nothing writes to it, so copies share it.
        memo[id(self.packed)] = self.packed
        twin = copy.copy(self)
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin

    def _by_row(self, rounded: Rounded, scale: Tensor) -> Tensor:
        y = self._multiply(rounded.codes, 1.0, _MIDDLE, None, torch.float32)
        if isinstance(rounded.zero, Tensor):
            y.addcmul_(_MIDDLE - rounded.zero, self.column_sum)
        y.mul_(scale)
        return y if self.bias is None else y.add_(self.bias)

    def _multiply(
        self, codes: Tensor, scale: float, zero: int, bias: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        y: Tensor = torch.ops.onednn.qlinear_pointwise(
            codes,
            scale,
            zero,
            self.packed,
            self.scale,
            self.zero,
            bias,
            1.0,
            0,
            dtype,
            "none",
            [],
            "",
        )
        return y


class UnpackLinear(Packed):
    """s8 x s8 with weights that stay in bit planes and are unpacked for every call."""

    scale: Tensor
    bias: Tensor | None
    column_sum: Tensor

    def __init__(self, layer: QuantLinear) -> None:
        super().__init__()
        values, scale = _signed_weight(layer)
        self.rounder = Rounder(layer, torch.int8)
        bits = _format(layer).bits
        # Two's complement of `bits` bits; the planes give it back times 2^(8 - bits).
        pattern = values.view(torch.uint8) & ((1 << bits) - 1)
        self.planes = BitPlanes(pattern, bits)
        self.register_buffer("scale", scale / (1 << (8 - bits)))
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().float())
        self.register_buffer("column_sum", scale * values.sum(dim=1, dtype=torch.int64))

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """What the layer computes, in the dtype of `x`."""
        rounded = self.rounder(x)
        sums = torch._int_mm(rounded.codes, self.planes.values().T)
        y = self._scaled(sums, rounded)
        return y.to(x.dtype).view(*x.shape[:-1], -1)

    def _scaled(self, sums: Tensor, rounded: Rounded) -> Tensor:
        if not isinstance(rounded.scale, Tensor):
            start = -rounded.zero * rounded.scale * self.column_sum
            start = start if self.bias is None else start + self.bias
            return (sums * (rounded.scale * self.scale)).add_(start)
        y = sums * rounded.scale
        y = y.mul_(self.scale) if self.bias is None else torch.addcmul(self.bias, y, self.scale)
        if isinstance(rounded.zero, Tensor):
            y.addcmul_(-rounded.zero * rounded.scale, self.column_sum)
        return y


def obstacle(layer: QuantLinear) -> str | None:
    """Why `layer` cannot be multiplied in int8, or None when it can."""
    assert layer.coded is not None
    weight = layer.coded.scheme
    if layer.activation is None:
        return "the activations stay at 16 bits"
    activation = layer.activation.scheme
    if not isinstance(weight.format, Int) or not isinstance(activation.format, Int):
        return f"{weight.format.name} x {activation.format.name} is not integer x integer"
    if not weight.symmetric:
        return "the weights have zero points"
    if weight.granularity.kind == "group":
        return "the weights have a scale a group"
    if activation.dynamic and activation.granularity.kind != "token":
        return "a dynamic range has to be per token"
    if not activation.dynamic and layer.activation.table_scale is None:
        return "the static range is not set"
    if layer.lowrank_down is not None:
        return "there is a low-rank branch"
    if layer.site.splits:
        return "the input has splits"
    return None


def _format(layer: QuantLinear) -> Int:
    assert layer.coded is not None
    assert isinstance(layer.coded.scheme.format, Int)
    return layer.coded.scheme.format


def _signed_weight(layer: QuantLinear) -> tuple[Tensor, Tensor]:
    """The integers of the weight as int8, and the scale of each output channel."""
    coded: CodedWeight | None = layer.coded
    assert coded is not None
    values = (coded.codes.to(torch.int16) + _format(layer).qmin).to(torch.int8)
    scale = coded.grid_scale.float().flatten().expand(layer.out_features)
    return values, scale.contiguous()
