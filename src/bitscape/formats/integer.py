"""Integers of one to eight bits."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float32, Real, UInt8
from torch import Tensor


@dataclass(frozen=True)
class Int:
    """The integers of `bits` bits: two's complement when signed, from zero when not.

    A code is the value minus the lowest value, the offset binary of compressed-tensors.
    """

    bits: int
    signed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 8:
            raise ValueError(f"an integer format has 1 to 8 bits, got {self.bits}")

    def __str__(self) -> str:
        return self.name

    @cached_property
    def name(self) -> str:
        """ "int4" or "uint4"."""
        return f"{'int' if self.signed else 'uint'}{self.bits}"

    @cached_property
    def code_bits(self) -> int:
        """Bits that hold any one code."""
        return self.bits

    @cached_property
    def qmin(self) -> int:
        """The smallest integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @cached_property
    def qmax(self) -> int:
        """The greatest integer."""
        return self.qmin + (1 << self.bits) - 1

    @cached_property
    def lowest(self) -> float:
        """The smallest representable value."""
        return float(self.qmin)

    @cached_property
    def highest(self) -> float:
        """The greatest representable value."""
        return float(self.qmax)

    @cached_property
    def largest(self) -> float:
        """The greatest representable magnitude."""
        return max(-self.lowest, self.highest)

    def values(self) -> Float32[Tensor, " value"]:
        """Every integer from qmin to qmax."""
        return torch.arange(self.qmin, self.qmax + 1, dtype=torch.float32)

    def round(self, x: Real[Tensor, "*shape"], *, inplace: bool = False) -> Real[Tensor, "*shape"]:
        """The nearest integers, ties to even; saturates, and keeps NaN."""
        return (x.round_() if inplace else x.round()).clamp_(self.qmin, self.qmax)

    def encode(self, rounded: Real[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
        """`rounded` - qmin."""
        return (rounded - self.qmin).to(torch.uint8)

    def decode(self, codes: UInt8[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
        """`codes` + qmin."""
        return codes.float() + self.qmin
