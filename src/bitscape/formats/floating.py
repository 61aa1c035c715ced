"""Small floating-point numbers with a sign: any split of up to eight bits."""

from dataclasses import dataclass
from functools import cache, cached_property

import torch
from jaxtyping import Float32, Real, UInt8
from torch import Tensor

# The layout of float32, in whose bits rounding and encoding are done.
_MANTISSA_BITS = 23
_EXPONENT_MASK = 0x7F800000
_BIAS = 127


@dataclass(frozen=True)
class Float:
    """One sign bit, `exp` exponent bits with bias 2^(exp-1) - 1 and `man` mantissa bits.

    A code is the bit pattern. Special values follow the Open Compute Project (OCP 8-bit Floating
    Point Specification 1.0; Microscaling Formats 1.0): E5M2 gives its top exponent to infinity and
    NaN, E4M3 its top code to NaN, and every other split spends all codes on numbers. E1M<m> is
    evenly spaced; E<e>M0 holds zero and powers of two.
    """

    exp: int
    man: int

    def __post_init__(self) -> None:
        if self.exp < 1 or self.man < 0 or self.exp + self.man > 7:
            raise ValueError(
                f"a float format has at least 1 exponent bit, no negative field and at most 8 bits "
                f"with its sign, got e{self.exp}m{self.man}"
            )

    def __str__(self) -> str:
        return self.name

    @cached_property
    def name(self) -> str:
        """ "e4m3"."""
        return f"e{self.exp}m{self.man}"

    @cached_property
    def bits(self) -> int:
        """Storage bits of one element, the sign included."""
        return 1 + self.exp + self.man

    @cached_property
    def code_bits(self) -> int:
        """Bits that hold any one code."""
        return self.bits

    @cached_property
    def lowest(self) -> float:
        """The smallest representable value."""
        return -self.largest

    @cached_property
    def highest(self) -> float:
        """The greatest representable value."""
        return self.largest

    @cached_property
    def largest(self) -> float:
        """The greatest representable magnitude: 448 for E4M3, 57344 for E5M2, 6 for E2M1."""
        return _magnitudes(self.exp, self.man)[-1]

    @cached_property
    def smallest_normal(self) -> float:
        """The least magnitude with a full mantissa; the spacing is constant below it."""
        return 2.0 ** (1 - _bias(self.exp))

    def values(self) -> Float32[Tensor, " value"]:
        """Every finite value, ascending; the two zeros count once."""
        positive = torch.tensor(_magnitudes(self.exp, self.man))
        return torch.cat([-positive[1:].flip(0), positive])

    def round(self, x: Real[Tensor, "*shape"], *, inplace: bool = False) -> Real[Tensor, "*shape"]:
        """The nearest values, ties to the even code; saturates, and keeps NaN.

        With p the power of two at or below |x|, the spacing around x is p 2^-man.
        """
        y = x.float()
        y = (y.clamp_ if inplace else y.clamp)(self.lowest, self.highest)
        power = (y.view(torch.int32) & _EXPONENT_MASK).view(torch.float32)
        power.clamp_(min=self.smallest_normal)
        if self.man == 0:
            # The last bit of a code is here that of the exponent, field - 127 + bias, and not that
            # of the quotient: the offset makes their parities equal.
            offset = ((power.view(torch.int32) >> _MANTISSA_BITS) + _bias(self.exp)) & 1
            return (((y.abs() / power - offset).round() + offset) * power * y.sign()).to(x.dtype)
        step = power.mul_(2.0**-self.man)
        return y.div_(step).round_().mul_(step).to(x.dtype)

    def encode(self, rounded: Real[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
        """The bit patterns; minus zero is written as zero."""
        y = rounded.float().abs()
        fields = y.view(torch.int32) >> (_MANTISSA_BITS - self.man)
        normal = fields - ((_BIAS - _bias(self.exp)) << self.man)
        subnormal = (y * (2**self.man / self.smallest_normal)).to(torch.int32)
        magnitude = torch.where(y < self.smallest_normal, subnormal, normal)
        sign = (rounded < 0).to(torch.int32) << (self.exp + self.man)
        return (magnitude | sign).to(torch.uint8)

    def decode(self, codes: UInt8[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
        """The values of bit patterns; those of infinity and NaN are all read as NaN."""
        positive = torch.full((1 << (self.exp + self.man),), torch.nan, device=codes.device)
        magnitudes = _magnitudes(self.exp, self.man)
        positive[: len(magnitudes)] = torch.tensor(magnitudes, device=codes.device)
        return torch.cat([positive, -positive])[codes.to(torch.int64)]


def _bias(exp: int) -> int:
    return (1 << (exp - 1)) - 1


@cache
def _magnitudes(exp: int, man: int) -> tuple[float, ...]:
    # The magnitude of each positive code in order; the specials are the codes after the last.
    specials = {(4, 3): 1, (5, 2): 4}.get((exp, man), 0)
    spacing = 2.0 ** (1 - _bias(exp) - man)
    subnormal = [fraction * spacing for fraction in range(1 << man)]
    normal = [
        ((1 << man) + fraction) * spacing * 2.0**exponent
        for exponent in range((1 << exp) - 1)
        for fraction in range(1 << man)
    ]
    numbers = subnormal + normal
    return tuple(numbers[: len(numbers) - specials])
