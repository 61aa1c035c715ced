"""Convolutions that multiply u8 by s8 through oneDNN, split by split, with weights laid out once.

y = sum over parts of s_x s_w (conv(q_x, q_w) - z_x conv(1, q_w)) + bias, a part being a run of
input channels that share one range of the input and one weight scale a row.
"""

import copy
import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Float, Int8
from torch import Tensor
from torch.nn import functional

from bitscape.formats import Int
from bitscape.nn import QuantConv2d
from bitscape.quantizers import from_groups, to_groups
from bitscape.runtime.int8 import operands_obstacle
from bitscape.runtime.packed import Packed
from bitscape.runtime.rounding import ROUND

# Channels below which a product of its own, and adding up its output, takes longer than it saves.
_NARROW = 32


@dataclass(frozen=True)
class Part:
    """Input channels from `start` to `stop`, rounded by column `split` of the step table."""

    start: int
    stop: int
    split: int


class OnednnConv(Packed):
    """Weights of any integers in 8 bits each; a step's scale and zero point are two numbers.

    Zero padding is oneDNN's own, which pads with the zero point, unless a shift moves it.
    """

    shift: Tensor | None
    divisor: Tensor | None
    bias: Tensor

    def __init__(self, layer: QuantConv2d) -> None:
        super().__init__()
        coded, activation = layer.coded, layer.activation
        assert coded is not None and activation is not None
        assert activation.table_scale is not None and isinstance(activation.scheme.format, Int)
        self.activation, self.top = activation, activation.scheme.format.qmax
        self.stride, self.dilation = list(layer.stride), list(layer.dilation)
        self.before, self.mode = layer.padding, layer.padding_mode
        # Pairs around the width, then around the height.
        around = [layer.padding[2], layer.padding[0]]
        self.native = self.mode == "constant" and layer.shift is None
        self.padding = around if self.native else [0, 0]
        # Numbers, because reading one from a tensor takes longer than a short convolution.
        zero = activation.table_zero
        self.scales: list[list[float]] = activation.table_scale.tolist()
        zeros = torch.zeros_like(activation.table_scale) if zero is None else zero
        self.zeros: list[list[int]] = zeros.long().tolist()
        shift, divisor = layer.shift, layer.scale
        self.register_buffer("shift", None if shift is None else shift.float()[:, None, None])
        self.register_buffer("divisor", None if divisor is None else divisor.float()[:, None, None])
        self.parts = parts_of(layer)
        values = _values(layer)
        taps = math.prod(layer.weight_shape[2:])
        for number, part in enumerate(self.parts):
            kernel = values[:, part.start : part.stop].contiguous()
            scale = _row_scale(layer, part.start * taps)
            packed = torch.ops.onednn.qconv_prepack(
                kernel, scale, 1.0, 0, self.stride, self.padding, self.dilation, 1, None
            )
            self.register_buffer(f"packed{number}", packed)
            self.register_buffer(f"scale{number}", scale)
        self.register_buffer("no_zero", torch.zeros(len(values), dtype=torch.int64))
        bias = torch.zeros(len(values)) if layer.bias is None else layer.bias.detach().float()
        self.register_buffer("bias", bias)

    def forward(self, x: Float[Tensor, "batch in h w"]) -> Float[Tensor, "batch out h2 w2"]:
        """What the layer computes, in the dtype of `x`."""
        rows = self.activation.rows()
        u = self._input(x.detach())
        if rows.numel() == 1:
            return self._at(u, int(rows)).to(x.dtype)
        # Samples at different steps have other numbers: one call each.
        each = [self._at(u[i : i + 1], int(row)) for i, row in enumerate(rows[:, 0])]
        return torch.cat(each).to(x.dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnednnConv":
        # oneDNN's layout is opaque and cannot be copied; nothing writes to it, so copies share it.
        for number in range(len(self.parts)):
            packed = self.get_buffer(f"packed{number}")
            memo[id(packed)] = packed
        twin = copy.copy(self)
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin

    def _input(self, x: Tensor) -> Tensor:
        """u, padded here where oneDNN would pad with something else."""
        x = x.float() if self.native else functional.pad(x.float(), self.before, self.mode)
        x = x if self.shift is None else x - self.shift
        return x if self.divisor is None else x / self.divisor

    def _at(self, u: Float[Tensor, "batch in h w"], row: int) -> Tensor:
        """The output with the ranges of one row of the table."""
        total: Tensor | None = None
        for number, part in enumerate(self.parts):
            scale, zero = self.scales[row][part.split], self.zeros[row][part.split]
            codes = self._codes(u[:, part.start : part.stop], scale, zero)
            y = torch.ops.onednn.qconv_pointwise(
                codes,
                scale,
                zero,
                self.get_buffer(f"packed{number}"),
                self.get_buffer(f"scale{number}"),
                self.no_zero,
                self.bias if number == 0 else None,
                self.stride,
                self.padding,
                self.dilation,
                1,
                1.0,
                0,
                torch.float32,
                "none",
                [],
                "",
            )
            total = y if total is None else total.add_(y)
        assert total is not None
        return total

    def _codes(self, u: Float[Tensor, "batch in h w"], scale: float, zero: int) -> Tensor:
        """u on its grid: the low bytes of the mantissas, see `rounding`."""
        # Divided, as in the layer: memory is what takes the time, and no tie falls another way.
        y = u.div(scale).add_(ROUND + zero).clamp_(ROUND, ROUND + self.top)
        codes = y.view(torch.int32).to(torch.uint8)
        return codes.contiguous(memory_format=torch.channels_last)


def obstacle(layer: QuantConv2d) -> str | None:
    """Why `layer` cannot be multiplied in int8, or None when it can."""
    reason = operands_obstacle(layer)
    if reason is not None:
        return reason
    assert layer.activation is not None
    activation = layer.activation.scheme
    assert isinstance(activation.format, Int)
    if activation.dynamic:
        return "the range is found for each sample"
    if activation.format.signed:
        return "signed activations fall to a reference loop"
    if layer.groups != 1:
        return "the convolution has groups"
    parts = parts_of(layer)
    narrowest = min(part.stop - part.start for part in parts)
    if len(parts) > max(len(layer.site.splits), 1) and narrowest < _NARROW:
        return f"the input falls into {len(parts)} parts, some of only {narrowest} channels"
    return None


def parts_of(layer: QuantConv2d) -> list[Part]:
    """The runs of input channels that share a split and a weight scale for every row."""
    assert layer.coded is not None
    channels = layer.weight_shape[1]
    taps = math.prod(layer.weight_shape[2:])
    scale, last = layer.coded.grid_scale, _group_ends(layer)
    borders = [end for g, end in enumerate(last[:-1]) if not scale[:, g].equal(scale[:, g + 1])]
    # A channel that a border crosses is a part of its own, too narrow for a product.
    crossed = {side for end in borders for side in (end // taps, -(-end // taps))}
    ends = torch.tensor(layer.site.splits or (channels,)).cumsum(0).tolist()
    cuts = sorted({0, *crossed, *ends})
    return [
        Part(start, stop, next(i for i, end in enumerate(ends) if start < end))
        for start, stop in zip(cuts, cuts[1:], strict=False)
    ]


def _values(layer: QuantConv2d) -> Int8[Tensor, "out in kh kw"]:
    assert layer.coded is not None
    coded = layer.coded
    decoded = coded.scheme.format.decode(to_groups(coded.codes, coded.scheme.granularity))
    return from_groups(decoded, layer.weight_shape, coded.scheme.granularity).to(torch.int8)


def _row_scale(layer: QuantConv2d, column: int) -> Float[Tensor, " out"]:
    """The scale of each row at `column` of the weight matrix."""
    assert layer.coded is not None
    scale = layer.coded.grid_scale[..., 0].float()
    found = scale[:, bisect_right(_group_ends(layer), column)]
    return found.expand(layer.weight_shape[0]).contiguous()


def _group_ends(layer: QuantConv2d) -> list[int]:
    """The column behind the last of each group of the weight matrix."""
    assert layer.coded is not None
    columns = math.prod(layer.weight_shape[1:])
    return list(accumulate(layer.coded.scheme.granularity.runs(columns)))
