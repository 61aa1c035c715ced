"""Powers of two, the block scales of the microscaling formats."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float32, Real, UInt8
from torch import Tensor

_BIAS = 127
_NAN = 255


@dataclass(frozen=True)
class E8M0:
    """The powers of two from 2^-127 to 2^127, without sign or zero (OCP Microscaling Formats 1.0).

    A code is the exponent plus 127; code 255 is NaN.
    """

    def __str__(self) -> str:
        return self.name

    @cached_property
    def name(self) -> str:
        """ "e8m0"."""
        return "e8m0"

    @cached_property
    def bits(self) -> int:
        """Storage bits of one element."""
        return 8

    @cached_property
    def code_bits(self) -> int:
        """Bits that hold any one code."""
        return 8

    @cached_property
    def lowest(self) -> float:
        """The smallest representable value."""
        return 2.0**-_BIAS

    @cached_property
    def highest(self) -> float:
        """The greatest representable value."""
        return 2.0**_BIAS

    @cached_property
    def largest(self) -> float:
        """The greatest representable magnitude."""
        return self.highest

    def values(self) -> Float32[Tensor, " value"]:
        """Every power of two, ascending."""
        return torch.tensor([2.0**exponent for exponent in range(-_BIAS, _BIAS + 1)])

    def round(self, x: Real[Tensor, "*shape"], *, inplace: bool = False) -> Real[Tensor, "*shape"]:
        """The nearest powers of two, ties to the even code; saturates, and keeps NaN."""
        return self.decode(self._nearest(x.float())).to(x.dtype)

    def encode(self, rounded: Real[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
        """The exponents plus 127."""
        return self._nearest(rounded.float())

    def _nearest(self, x: Tensor) -> Tensor:
        mantissa, exponent = torch.frexp(x.clamp(max=self.highest))  # x = mantissa 2^exponent
        below = exponent - 1 + _BIAS
        up = (mantissa > 0.75) | ((mantissa == 0.75) & (below % 2 == 1))
        codes = torch.where(x > 0, below + up, 0).clamp(0, _NAN - 1)
        return torch.where(x.isnan(), _NAN, codes).to(torch.uint8)

    def decode(self, codes: UInt8[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
        """Two to the power of `codes` - 127; NaN for code 255."""
        values = torch.cat([self.values(), torch.tensor([torch.nan])]).to(codes.device)
        return values[codes.to(torch.int64)]
