"""Nested integers: the first bits of an integer are an integer of fewer bits.

Nair et al., "Matryoshka Quantization", arXiv:2502.06786: a slice S(q, r) = round(q / 2^(c-r)).
"""

from dataclasses import dataclass

from jaxtyping import Float32, Real, UInt8
from torch import Tensor

from bitscape.formats.integer import Int


@dataclass(frozen=True)
class Slice:
    """The `bits`-bit integers as the first bits of integers of `whole` bits, both signed.

    An integer v of the whole reads clip(floor(v / 2^d + 1/2)), d = whole - bits: its first bits, up
    by one when the next bit is set. In units of the whole that is 2^d times as much.
    """

    bits: int
    whole: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= self.whole:
            raise ValueError(f"the first {self.bits} bits of {self.whole} are none")

    @property
    def name(self) -> str:
        """ "int2of4"."""
        return f"int{self.bits}of{self.whole}"

    @property
    def spread(self) -> int:
        """2^d: how many integers of the whole fall on one."""
        return 1 << (self.whole - self.bits)

    @property
    def code_bits(self) -> int:
        """Bits that hold any one code."""
        return self.bits

    @property
    def lowest(self) -> float:
        """The smallest integer."""
        return self._integers().lowest

    @property
    def highest(self) -> float:
        """The greatest integer."""
        return self._integers().highest

    @property
    def largest(self) -> float:
        """The greatest magnitude."""
        return self._integers().largest

    def values(self) -> Float32[Tensor, " value"]:
        """Every integer of that many bits."""
        return self._integers().values()

    def round(self, x: Real[Tensor, "*shape"], *, inplace: bool = False) -> Real[Tensor, "*shape"]:
        """What the whole integer nearest to 2^d x reads; keeps NaN."""
        whole = Int(self.whole).round(x * self.spread, inplace=True)
        return whole.div_(self.spread).add_(0.5).floor_().clamp_(self.lowest, self.highest)

    def encode(self, rounded: Real[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
        """Codes of integers of that many bits."""
        return self._integers().encode(rounded)

    def decode(self, codes: UInt8[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
        """The integers of `codes`."""
        return self._integers().decode(codes)

    def cut(self, codes: UInt8[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
        """The codes that codes of whole integers read."""
        half = self.spread // 2
        # In offset binary the first bits are a shift to the right.
        return ((codes.int() + half) // self.spread).clamp(max=(1 << self.bits) - 1).to(codes.dtype)

    def _integers(self) -> Int:
        return Int(self.bits)
