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


def _coded(layer: QuantLinear) -> CodedWeight:
    assert layer.coded is not None
    return layer.coded


def _format(coded: CodedWeight) -> Int:
    assert isinstance(coded.scheme.format, Int)
    return coded.scheme.format
