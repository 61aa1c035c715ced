"""The prologue of a packed layer: a copy of the layer's own, arranged for one multiply-add."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bitscape.nn import QuantLinear, signed_rotation


class Prologue(nn.Module):
    """u = (x inverse + offset) R, with inverse = 1 / scale and offset = -shift / scale."""

    inverse: Tensor | None
    offset: Tensor | None
    signs: Tensor | None

    def __init__(self, layer: QuantLinear) -> None:
        super().__init__()
        inverse = None if layer.scale is None else 1 / layer.scale.detach().float()
        offset = None if layer.shift is None else -layer.shift.detach().float()
        if offset is not None and inverse is not None:
            offset = offset * inverse
        self.rotation = layer.rotation
        self.register_buffer("inverse", inverse)
        self.register_buffer("offset", offset)
        self.register_buffer("signs", None if layer.signs is None else layer.signs.float())

    @property
    def empty(self) -> bool:
        """Whether u is x itself."""
        return self.inverse is None and self.offset is None and not self.rotation

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch in"]:
        """u: `x` itself when there is nothing to do, else in float32."""
        if self.inverse is not None and self.offset is not None:
            x = torch.addcmul(self.offset, x.float(), self.inverse)
        elif self.inverse is not None:
            x = x * self.inverse
        elif self.offset is not None:
            x = x + self.offset
        return signed_rotation(x, self.rotation, self.signs)
