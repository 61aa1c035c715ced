"""Linear layers with integer weights and 16-bit activations, computed in float."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from bitscape.formats import Int
from bitscape.nn import CodedWeight, QuantLinear
from bitscape.runtime.packed import Packed
from bitscape.runtime.planes import BitPlanes
from bitscape.runtime.prologue import Prologue

_INT4_GROUPS = (256, 128, 64, 32)
_INT4_ROWS = 16


class UnpackFloatLinear(Packed):
    """Weights in bit planes, unpacked for every call to the float type that multiplies.

    Codes and zero points are exact in it; the scales are rounded to it.
    """

    scale: Tensor
    zero: Tensor | None
    bias: Tensor | None

    def __init__(self, layer: QuantLinear, dtype: torch.dtype) -> None:
        super().__init__()
        coded = _coded(layer)
        bits = _format(coded).bits
        middle = 1 << (bits - 1)
        left = 1 << (8 - bits)
        # Flipping the top bit turns offset binary into two's complement around the middle.
        self.planes = BitPlanes(coded.codes ^ middle, bits)
        self.register_buffer("scale", (coded.grid_scale / left).to(dtype))
        zero = None if coded.grid_zero is None else ((coded.grid_zero - middle) * left).to(dtype)
        self.register_buffer("zero", zero)
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().to(dtype))
        self.prologue = Prologue(layer)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """What the layer computes, in the dtype of `x`."""
        u = self.prologue(x).to(self.scale.dtype)
        values = self.planes.values().to(self.scale.dtype)
        many = u.numel() >= values.numel()
        if many or self.scale.shape[1] > 1 or self.zero is not None:
            return functional.linear(u, self._dequantized(values), self.bias).to(x.dtype)
        # One scale a row leaves the sum, where few rows give fewer numbers than the weight has.
        y = functional.linear(u, values)
        scale = self.scale.flatten()
        y = y.mul_(scale) if self.bias is None else torch.addcmul(self.bias, y, scale)
        return y.to(x.dtype)

    def _dequantized(self, values: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
        grouped = values.view(values.shape[0], self.scale.shape[1], -1)
        if self.zero is not None:
            grouped.sub_(self.zero)
        return grouped.mul_(self.scale).view_as(values)


class Int4PackLinear(Packed):
    """torch's 4-bit kernel: reads packed weights once, which pays while the rows are few."""

    bias: Tensor | None

    def __init__(self, layer: QuantLinear) -> None:
        super().__init__()
        coded = _coded(layer)
        self.group = int4_group(coded, layer.in_features) or 0
        assert self.group
        groups = layer.in_features // self.group
        scale = _regroup(coded.grid_scale, layer.out_features, groups)
        zero = torch.zeros_like(scale)
        if coded.grid_zero is not None:
            # The kernel computes (code - 8) scale + zero.
            zero = (8 - _regroup(coded.grid_zero, layer.out_features, groups)) * scale
        pairs = torch.stack([scale, zero], dim=-1).transpose(0, 1)  # (groups, out, 2)
        codes = coded.codes.to(torch.int32)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
        self.register_buffer("packed", packed)
        self.register_buffer("scale_zero", pairs.bfloat16().contiguous())
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().float())
        self.prologue = Prologue(layer)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """What the layer computes, in the dtype of `x`."""
        u = self.prologue(x)
        rows = u.reshape(-1, u.shape[-1]).bfloat16()
        y = torch.ops.aten._weight_int4pack_mm_for_cpu(
            rows, self.packed, self.group, self.scale_zero
        )
        y = y if self.bias is None else y + self.bias
        return y.to(x.dtype).view(*x.shape[:-1], -1)


def obstacle(layer: QuantLinear) -> str | None:
    """Why `layer` is not integer weights under 16-bit activations, or None when it is."""
    assert layer.coded is not None
    if layer.activation is not None:
        return "the activations are quantized"
    if not isinstance(layer.coded.scheme.format, Int):
        return f"the weights are {layer.coded.scheme.format.name}, not integers"
    if layer.lowrank_down is not None:
        return "there is a low-rank branch"
    return None


def int4_obstacle(layer: QuantLinear) -> str | None:
    """Why torch's 4-bit kernel cannot take `layer`; outside these bounds it crashes or is wrong."""
    reason = obstacle(layer)
    if reason is not None:
        return reason
    coded = _coded(layer)
    if _format(coded).bits != 4:
        return f"the weights have {_format(coded).bits} bits, not 4"
    if layer.out_features % _INT4_ROWS:
        return f"{layer.out_features} outputs are not a multiple of {_INT4_ROWS}"
    if int4_group(coded, layer.in_features) is None:
        return f"no group of 32, 64, 128 or 256 fits {layer.in_features} inputs in {coded.scheme}"
    return None


def int4_group(coded: CodedWeight, width: int) -> int | None:
    """The greatest group size of the kernel that divides the scheme's groups."""
    size = coded.scheme.granularity.size or width
    return next((group for group in _INT4_GROUPS if size % group == 0), None)


def _coded(layer: QuantLinear) -> CodedWeight:
    assert layer.coded is not None
    return layer.coded


def _format(coded: CodedWeight) -> Int:
    assert isinstance(coded.scheme.format, Int)
    return coded.scheme.format


def _regroup(grid: Tensor, rows: int, groups: int) -> Tensor:
    """A grid (out or 1, scheme's groups, 1) repeated for the finer groups of the kernel."""
    grid = grid.float().squeeze(-1).expand(rows, -1)
    return grid.repeat_interleave(groups // grid.shape[1], dim=1)
