"""What a format is: a finite set of numbers, how reals round to it, and how it is written down."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float32, Real, UInt8
from torch import Tensor


@runtime_checkable
class Format(Protocol):
    """A finite set of numbers. `str(format)` is its name, and `parse_format` reads it back.

    Only the nested codes of a training (`Slice`), which no file holds, are not read.

    `bits` is what one element costs when stored, `code_bits` the width that holds one code: they
    differ where several elements share a byte (ternary) or one code (codebooks).
    """

    @property
    def name(self) -> str:
        """The name `parse_format` reads: "int4", "uint4", "e4m3", "ternary"."""
        ...

    @property
    def bits(self) -> float:
        """Storage bits of one element."""
        ...

    @property
    def code_bits(self) -> int:
        """Bits that hold any one code."""
        ...

    @property
    def lowest(self) -> float:
        """The smallest representable value."""
        ...

    @property
    def highest(self) -> float:
        """The greatest representable value."""
        ...

    @property
    def largest(self) -> float:
        """The greatest representable magnitude."""
        ...

    def values(self) -> Float32[Tensor, " value"]:
        """Every representable value, ascending, each once."""
        ...

    def round(self, x: Real[Tensor, "*shape"], *, inplace: bool = False) -> Real[Tensor, "*shape"]:
        """The nearest representable values, ties to the even code; saturates, and keeps NaN.

        With `inplace` the storage of `x` may be used for them, and `x` is lost.
        """
        ...

    def encode(self, rounded: Real[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
        """The codes of values that `round` returned."""
        ...

    def decode(self, codes: UInt8[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
        """The values of `codes`."""
        ...
