"""The reference: dequantize, then multiply in float, with the very operations of the layer."""

import copy

from jaxtyping import Float
from torch import Tensor, nn

from bitscape.nn import QuantLinear
from bitscape.quantizers import Grid, dequantize_weight
from bitscape.runtime.planes import BitPlanes


class DequantLinear(nn.Module):
    """A layer of any format with its codes resident at their real width; equal bit for bit."""

    grid_scale: Tensor
    grid_zero: Tensor | None

    def __init__(self, layer: QuantLinear) -> None:
        super().__init__()
        assert layer.coded is not None
        self.scheme = layer.coded.scheme
        self.planes = BitPlanes(layer.coded.codes, self.scheme.format.code_bits)
        self.register_buffer("grid_scale", layer.coded.grid_scale)
        self.register_buffer("grid_zero", layer.coded.grid_zero)
        # A shallow copy shares every field and leaves the caller's layer whole.
        self.layer = copy.copy(layer)
        self.layer._modules = {**layer._modules, "coded": None}

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """What the layer computes, in the dtype of `x`."""
        grid = Grid(self.grid_scale, self.grid_zero)
        weight = dequantize_weight(self.planes.codes(), grid, self.scheme)
        return self.layer.contract(self.layer.prologue(x), weight)
