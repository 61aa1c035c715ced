"""A change of basis of one input, shared by all sites that read it."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from bitscape.nn import compose_affine, signed_rotation

Channels = Float[Tensor, " channel"]


@dataclass(frozen=True)
class Transform:
    """u = ((x - shift) / scale) R, with weights that undo it; `label` says what it is.

    A fresh one is the identity. `order` is that of the Hadamard rotation R, 0 for none, with
    `signs`. `predicted` is the layer's error by a model of it, where the rule has one.
    """

    label: str = "none"
    scale: Channels | None = None
    shift: Channels | None = None
    order: int = 0
    signs: Channels | None = None
    predicted: tuple[float, float] | None = None

    def inputs(self, X: Float[Tensor, "*row channel"]) -> Float[Tensor, "*row channel"]:
        """u for rows of x."""
        v = X if self.shift is None else X - self.shift
        v = v if self.scale is None else v / self.scale
        return signed_rotation(v, self.order, self.signs)

    def weight(self, W: Float[Tensor, "out channel"]) -> Float[Tensor, "out channel"]:
        """The matrix that multiplies u: W diag(scale) R."""
        v = W if self.scale is None else W * self.scale
        return signed_rotation(v, self.order, self.signs)

    def then(self, label: str, scale: Channels, shift: Channels | None = None) -> "Transform":
        """This one, which does not rotate, followed by (v - shift) / scale."""
        assert not self.order
        return Transform(label, *compose_affine(self.scale, self.shift, scale, shift))

    def rotated(self, label: str, order: int, signs: Channels | None) -> "Transform":
        """This one followed by a rotation."""
        return Transform(label, self.scale, self.shift, order, signs)
