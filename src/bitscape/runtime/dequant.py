"""The reference: dequantize, then multiply in float, with the very operations of the layer."""

import copy

from jaxtyping import Float, Float32
from torch import Tensor, nn

from bitscape.formats import MixedInt
from bitscape.nn import CodedWeight, QuantConv2d, QuantLinear, grid_of
from bitscape.quantizers import dequantize_weight
from bitscape.runtime.packed import Packed
from bitscape.runtime.planes import BitPlanes, RowPlanes


class PlaneWeight(Packed):
    """A coded weight of any format with its codes resident at their real width."""

    grid_scale: Tensor
    grid_zero: Tensor | None
    centroids: Tensor | None

    def __init__(self, coded: CodedWeight) -> None:
        super().__init__()
        self.scheme = coded.scheme
        fmt = coded.scheme.format
        self.planes: BitPlanes | RowPlanes
        if isinstance(fmt, MixedInt):
            self.planes = RowPlanes(coded.codes, fmt)
        else:
            self.planes = BitPlanes(coded.codes, fmt.code_bits)
        self.register_buffer("grid_scale", coded.grid_scale)
        self.register_buffer("grid_zero", coded.grid_zero)
        self.register_buffer("centroids", coded.centroids)

    def dequantize(self) -> Float32[Tensor, "out in"]:
        """The real numbers that the codes stand for."""
        grid = grid_of(self.grid_scale, self.grid_zero, self.centroids)
        return dequantize_weight(self.planes.codes(), grid, self.scheme)


class DequantLinear(nn.Module):
    """A layer of any format, equal to the fake-quantized one bit for bit."""

    def __init__(self, layer: QuantLinear) -> None:
        super().__init__()
        assert layer.coded is not None
        self.weight = PlaneWeight(layer.coded)
        # A shallow copy shares every field and leaves the caller's layer whole.
        self.layer = copy.copy(layer)
        self.layer._modules = {**layer._modules, "coded": None}

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """What the layer computes, in the dtype of `x`."""
        return self.layer.contract(self.layer.prologue(x), self.weight.dequantize())


class DequantConv(nn.Module):
    """A convolution of any format, equal to the fake-quantized one bit for bit."""

    def __init__(self, layer: QuantConv2d) -> None:
        super().__init__()
        assert layer.coded is not None
        self.weight = PlaneWeight(layer.coded)
        self.layer = copy.copy(layer)
        self.layer._modules = {**layer._modules, "coded": None}

    def forward(self, x: Float[Tensor, "batch in h w"]) -> Float[Tensor, "batch out h2 w2"]:
        """What the layer computes, in the dtype of `x`."""
        return self.layer.multiply(x, self.weight.dequantize().view(self.layer.weight_shape))
