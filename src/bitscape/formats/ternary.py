"""The three numbers -1, 0 and 1."""

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Real, UInt8
from torch import Tensor


@dataclass(frozen=True)
class Ternary:
    """{-1, 0, 1}, written five to a byte (3^5 = 243); a code is the value plus one."""

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """ "ternary"."""
        return "ternary"

    @property
    def bits(self) -> float:
        """Storage bits of one element: 8 / 5."""
        return 1.6

    @property
    def code_bits(self) -> int:
        """Bits that hold any one code."""
        return 2

    @property
    def lowest(self) -> float:
        """The smallest representable value."""
        return -1.0

    @property
    def highest(self) -> float:
        """The greatest representable value."""
        return 1.0

    @property
    def largest(self) -> float:
        """The greatest representable magnitude."""
        return 1.0

    def values(self) -> Float32[Tensor, " value"]:
        """-1, 0, 1."""
        return torch.tensor([-1.0, 0.0, 1.0])

    def round(self, x: Real[Tensor, "*shape"], *, inplace: bool = False) -> Real[Tensor, "*shape"]:
        """The nearest of the three, ties to zero; saturates, and keeps NaN."""
        return (x.round_() if inplace else x.round()).clamp_(-1, 1)

    def encode(self, rounded: Real[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
        """`rounded` + 1."""
        return (rounded + 1).to(torch.uint8)

    def decode(self, codes: UInt8[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
        """`codes` - 1."""
        return codes.float() - 1
