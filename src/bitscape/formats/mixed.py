"""Integers whose width differs from row to row of a weight matrix."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float32, Real, UInt8
from torch import Tensor

from bitscape.formats.integer import Int


@dataclass(frozen=True)
class MixedInt:
    """Signed integers of `widths[row]` bits: one less than `base`, `base` or one more.

    Rows lie along the first axis. A row of one bit holds -1 and 1, where `Int(1)` would hold -1 and
    0: a sign times a scale. Without `widths` it is only a name, "int4rows", as the widths are
    stored beside the codes.
    """

    base: int
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        lowest, highest = max(1, self.base - 1), min(8, self.base + 1)
        if not 2 <= self.base <= 7 or any(not lowest <= w <= highest for w in self.widths):
            raise ValueError(
                f"rows of mixed width have {self.base} bits, one more or one less, and {self.base} "
                f"lies between 2 and 7; got {sorted(set(self.widths))}"
            )

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """ "int4rows"."""
        return f"int{self.base}rows"

    @cached_property
    def bits(self) -> float:
        """The mean width of the rows."""
        return sum(self.widths) / len(self.widths) if self.widths else self.base

    @cached_property
    def code_bits(self) -> int:
        """The width of the widest row."""
        return max(self.widths, default=self.base + 1)

    @property
    def lowest(self) -> float:
        """The smallest integer of the widest row."""
        return Int(self.code_bits).lowest

    @property
    def highest(self) -> float:
        """The greatest integer of the widest row."""
        return Int(self.code_bits).highest

    @property
    def largest(self) -> float:
        """The greatest magnitude of the widest row."""
        return -self.lowest

    def values(self) -> Float32[Tensor, " value"]:
        """Every integer of the widest row."""
        return Int(self.code_bits).values()

    def round(self, x: Real[Tensor, "*shape"], *, inplace: bool = False) -> Real[Tensor, "*shape"]:
        """The nearest integers that each row has; saturates, and keeps NaN."""
        low, high = self.limits(x)
        # Odd numbers only: x lies nearest to 2 floor(x / 2) + 1.
        odd = 2 * (x / 2).floor() + 1
        return torch.where(high - low == 2, odd, x.round()).clamp(low, high)

    def encode(self, rounded: Real[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
        """`rounded` - the row's lowest integer; for a row of one bit half of that."""
        low, high = self.limits(rounded)
        codes = rounded - low
        return torch.where(high - low == 2, codes / 2, codes).to(torch.uint8)

    def decode(self, codes: UInt8[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
        """The inverse of `encode`."""
        low, high = self.limits(codes)
        wide = codes.float()
        return torch.where(high - low == 2, 2 * wide, wide) + low

    def limits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The ends of each row, with as many axes as `x`; ValueError unless it has those rows."""
        if len(x) != len(self.widths):
            raise ValueError(f"{self.name} has widths for {len(self.widths)} rows, got {len(x)}")
        half = 2.0 ** (torch.tensor(self.widths, device=x.device) - 1)
        half = half.view(-1, *[1] * (x.ndim - 1))
        return -half, torch.where(half == 1, half, half - 1)

    def rows(self, width: int) -> list[int]:
        """The places of the rows of `width` bits."""
        return [row for row, own in enumerate(self.widths) if own == width]
