"""Linear layers that multiply int8 by int8: weights of one to eight bits, any int activations.

y = s_x s_w (sum_k q_x q_w - z_x sum_k q_w) + bias
"""

import copy
import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Float32, Int8, Int64, UInt8
from torch import Tensor

from bitscape.formats import Int, MixedInt
from bitscape.nn import CodedWeight, QuantConv2d, QuantLinear
from bitscape.runtime.packed import Packed
from bitscape.runtime.planes import BitPlanes, RowPlanes
from bitscape.runtime.rounding import Rounded, StaticRounder, rounder

# Sums of so many rows are scaled while they are still in the cache.
_CHUNK = 256
_ALIGNED = 16


@dataclass(frozen=True)
class Epilogue:
    """What oneDNN does with a sum before it is written: an operation, then codes on a grid."""

    dtype: torch.dtype
    scale: float = 1.0
    zero: int = 0
    operation: str = "none"
    algorithm: str = ""


class OnednnLinear(Packed):
    """u8 x s8 through oneDNN with weights laid out once; a shared scale and the bias are fused.

    Activations are unsigned on purpose: with signed ones oneDNN falls to a reference loop. oneDNN
    takes one zero point a call; where every row has its own, the product corrects itself: columns
    that sum to -sum_k q_w are appended to the weight, and each row's zero point to its codes.
    """

    scale: Tensor
    bias: Tensor

    def __init__(self, layer: QuantLinear) -> None:
        super().__init__()
        values, scale = _signed_weight(layer)
        columns = _zero_columns(layer, values)
        self.correction = columns.shape[1]
        self.rounder = rounder(layer, torch.uint8, tail=self.correction)
        values = torch.cat([values, columns], dim=1)
        self.register_buffer("packed", torch.ops.onednn.qlinear_prepack(values, None))
        self.register_buffer("scale", scale)
        self.register_buffer("zero", torch.zeros_like(scale, dtype=torch.int64))
        self.register_buffer("bias", _bias(layer))

    @property
    def static(self) -> bool:
        """Whether the ranges of activations are known beforehand."""
        return isinstance(self.rounder, StaticRounder)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """What the layer computes, in the dtype of `x`."""
        rounded: Rounded = self.rounder(x)
        if not isinstance(rounded.scale, Tensor):
            return self.product(rounded, x.dtype).view(*x.shape[:-1], -1)
        y = x.new_empty(len(rounded.codes), len(self.scale))
        for place, part in rounded.parts(_CHUNK):
            y[place] = self._by_row(part)
        return y.view(*x.shape[:-1], -1)

    def product(self, rounded: Rounded, dtype: torch.dtype) -> Float[Tensor, "row out"]:
        """The layer's output for codes on a grid that all rows share."""
        fused = dtype if dtype == torch.bfloat16 else torch.float32
        return self._multiply(rounded, self.bias, Epilogue(fused)).to(dtype)

    def rounded_gelu(
        self, rounded: Rounded, approximate: str, scale: float, zero: int
    ) -> UInt8[Tensor, "row out"]:
        """GELU of the output, rounded to codes on the grid of `scale` and `zero`, in one go."""
        epilogue = Epilogue(torch.uint8, scale, zero, "gelu", approximate)
        return self._multiply(rounded, self.bias, epilogue)

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnednnLinear":
        # oneDNN's layout is opaque and cannot be copied; nothing writes to it, so copies share it.
        memo[id(self.packed)] = self.packed
        twin = copy.copy(self)
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin

    def _by_row(self, part: Rounded) -> Float32[Tensor, "row out"]:
        assert isinstance(part.scale, Tensor)
        y = self._multiply(replace(part, scale=1.0), None, Epilogue(torch.float32))
        return torch.addcmul(self.bias, y, part.scale, out=y)

    def _multiply(self, rounded: Rounded, bias: Tensor | None, epilogue: Epilogue) -> Tensor:
        zero = 0 if self.correction else int(rounded.zero)
        y: Tensor = torch.ops.onednn.qlinear_pointwise(
            rounded.codes,
            rounded.scale,
            zero,
            self.packed,
            self.scale,
            self.zero,
            bias,
            epilogue.scale,
            epilogue.zero,
            epilogue.dtype,
            epilogue.operation,
            [],
            epilogue.algorithm,
        )
        return y


class UnpackLinear(Packed):
    """s8 x s8 with weights that stay in bit planes and are unpacked for every call."""

    scale: Tensor
    bias: Tensor
    column_sum: Tensor

    def __init__(self, layer: QuantLinear) -> None:
        super().__init__()
        assert layer.coded is not None
        values, scale = _signed_weight(layer)
        self.rounder = rounder(layer, torch.int8)
        fmt = _format(layer)
        self.planes: BitPlanes | RowPlanes
        if isinstance(fmt, MixedInt):
            left = 1
            self.planes = RowPlanes(layer.coded.codes, fmt)
        else:
            left = 1 << (8 - fmt.bits)
            # Two's complement of `bits` bits; the planes give it back times 2^(8 - bits).
            self.planes = BitPlanes(values.view(torch.uint8) & ((1 << fmt.bits) - 1), fmt.bits)
        self.register_buffer("scale", scale / left)
        self.register_buffer("bias", _bias(layer))
        self.register_buffer("column_sum", values.sum(dim=1, dtype=torch.float32) * left)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """What the layer computes, in the dtype of `x`."""
        rounded: Rounded = self.rounder(x)
        weight = self.planes.values().T
        y = x.new_empty(len(rounded.codes), len(self.scale))
        for place, part in rounded.parts(_CHUNK):
            y[place] = self._scaled(torch._int_mm(part.codes, weight).float(), part)
        return y.view(*x.shape[:-1], -1)

    def _scaled(
        self, sums: Float32[Tensor, "row out"], part: Rounded
    ) -> Float32[Tensor, "row out"]:
        if isinstance(part.zero, Tensor):
            sums.addcmul_(part.zero, self.column_sum, value=-1)
        elif part.zero:
            sums.sub_(self.column_sum, alpha=part.zero)
        sums.mul_(part.scale)
        return torch.addcmul(self.bias, sums, self.scale, out=sums)


def operands_obstacle(layer: QuantLinear | QuantConv2d) -> str | None:
    """Why weight and input of `layer` are no operands of an int8 product, or None if they are."""
    assert layer.coded is not None
    weight = layer.coded.scheme
    if layer.activation is None:
        return "the activations stay at 16 bits"
    activation = layer.activation.scheme
    if not isinstance(weight.format, Int | MixedInt) or not isinstance(activation.format, Int):
        return f"{weight.format.name} x {activation.format.name} is not integer x integer"
    if not weight.symmetric:
        return "the weights have zero points"
    if not activation.dynamic and layer.activation.table_scale is None:
        return "the static range is not set"
    return None


def obstacle(layer: QuantLinear) -> str | None:
    """Why `layer` cannot be multiplied in int8, or None when it can."""
    reason = operands_obstacle(layer)
    if reason is not None:
        return reason
    assert layer.coded is not None
    assert layer.activation is not None
    weight, activation = layer.coded.scheme, layer.activation.scheme
    if weight.granularity.kind == "group":
        return "the weights have a scale a group"
    if activation.dynamic and activation.granularity.kind != "token":
        return "a dynamic range has to be per token"
    if layer.lowrank_down is not None:
        return "there is a low-rank branch"
    if layer.site.splits:
        return "the input has splits"
    return None


def _format(layer: QuantLinear) -> Int | MixedInt:
    assert layer.coded is not None
    assert isinstance(layer.coded.scheme.format, Int | MixedInt)
    return layer.coded.scheme.format


def _signed_weight(layer: QuantLinear) -> tuple[Tensor, Tensor]:
    """The integers of the weight as int8, and the scale of each output channel."""
    coded: CodedWeight | None = layer.coded
    assert coded is not None
    values = _format(layer).decode(coded.codes).to(torch.int8)
    scale = coded.grid_scale.float().flatten().expand(layer.out_features)
    return values, scale.contiguous()


def _zero_columns(layer: QuantLinear, values: Int8[Tensor, "out in"]) -> Int8[Tensor, "out column"]:
    """Columns that subtract a zero point of each row's own; none where a call has only one."""
    assert layer.activation is not None
    activation = layer.activation
    if activation.scheme.dynamic:
        by_row = not activation.scheme.symmetric
    else:
        by_row = activation.table_zero is not None and activation.table_zero.numel() > 1
    if not by_row:
        return values.new_empty(len(values), 0)
    return columns_of(-values.sum(dim=1, dtype=torch.int64), _ALIGNED)


def columns_of(sums: Int64[Tensor, " out"], multiple: int) -> Int8[Tensor, "out column"]:
    """int8 columns that add up to `sums`, as few as can be in a multiple of `multiple`."""
    count = max(math.ceil(int(sums.abs().max()) / 127 / multiple), 1) * multiple
    even = torch.div(sums, count, rounding_mode="floor")
    rest = sums - even * count
    return (even[:, None] + (torch.arange(count) < rest[:, None])).to(torch.int8)


def _bias(layer: QuantLinear) -> Float32[Tensor, " out"]:
    """The bias, or zeros: adding them is part of a pass that is made anyway."""
    if layer.bias is None:
        return torch.zeros(layer.out_features)
    return layer.bias.detach().float()
