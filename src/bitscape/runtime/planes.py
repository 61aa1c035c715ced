"""Codes of one to eight bits, resident in planes that unpack in a few byte-wide operations.

A code of b bits is cut into fields of 4, 2 and 1 bits (3 = 2 + 1, 6 = 4 + 2), from the top. The
plane of a w-bit field holds 8 / w fields a byte, from distant rows and not from neighbouring
columns, so that unpacking writes long contiguous runs: interleaved nibbles, the order of
artefacts, take seven times longer. Codes come out left-aligned in their byte: c 2^(8 - b). That
spares the subtraction of an offset, and one multiplication of the scale undoes it.
"""

from collections.abc import Callable

import torch
from jaxtyping import Int8, UInt8
from torch import Tensor, nn

from bitscape.formats import MixedInt

_BYTE = 8


class BitPlanes(nn.Module):
    """The codes of a weight matrix at their real width, give or take the padding of the rows."""

    def __init__(self, codes: UInt8[Tensor, "out in"], bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.rows, self.columns = codes.shape
        padding = codes.new_zeros(-self.rows % _BYTE, self.columns)
        padded = torch.cat([codes, padding])
        for width, top in self._fields():
            field = (padded >> (bits - top - width)) & ((1 << width) - 1)
            self.register_buffer(f"plane{width}", _join(field, width))

    def left_aligned(self) -> UInt8[Tensor, "out in"]:
        """c 2^(8 - bits) for each code c: as int8, the two's complement value of the code.

        Codes of eight bits are the plane itself, which callers only read.
        """
        if self.bits == _BYTE:
            return self._plane(0)[: self.rows]
        rows = self.rows + -self.rows % _BYTE
        out = torch.empty(rows, self.columns, dtype=torch.uint8, device=self._plane(0).device)
        for number, (width, top) in enumerate(self._fields()):
            _spread(self._plane(number), width, top, out)
        return out[: self.rows]

    def values(self) -> Int8[Tensor, "out in"]:
        """The codes read as left-aligned two's complement."""
        return self.left_aligned().view(torch.int8)

    def codes(self) -> UInt8[Tensor, "out in"]:
        """The codes as they were given."""
        return self.left_aligned() >> (_BYTE - self.bits)

    def _fields(self) -> list[tuple[int, int]]:
        """Width of each field and the number of bits above it."""
        if self.bits == _BYTE:
            return [(_BYTE, 0)]
        fields, top = [], 0
        for width in (4, 2, 1):
            if self.bits & width:
                fields.append((width, top))
                top += width
        return fields

    def _plane(self, number: int) -> Tensor:
        return self.get_buffer(f"plane{self._fields()[number][0]}")


class RowPlanes(nn.Module):
    """The codes of rows of mixed width: planes for the rows of each, brought back in order."""

    def __init__(self, codes: UInt8[Tensor, "out in"], fmt: MixedInt) -> None:
        super().__init__()
        self.rows, self.columns = codes.shape
        self.widths = sorted(set(fmt.widths))
        for width in self.widths:
            places = torch.tensor(fmt.rows(width), device=codes.device)
            self.register_buffer(f"rows{width}", places)
            self.add_module(f"planes{width}", BitPlanes(codes[places], width))

    def codes(self) -> UInt8[Tensor, "out in"]:
        """The codes as they were given."""
        return self._gathered(lambda codes, width: codes, torch.uint8)

    def values(self) -> Int8[Tensor, "out in"]:
        """The integers that the codes stand for."""
        return self._gathered(_integers, torch.int8)

    def _gathered(self, read: Callable[[Tensor, int], Tensor], dtype: torch.dtype) -> Tensor:
        places = [self.get_buffer(f"rows{width}") for width in self.widths]
        out = torch.empty(self.rows, self.columns, dtype=dtype, device=places[0].device)
        for width, mine in zip(self.widths, places, strict=True):
            planes = self.get_submodule(f"planes{width}")
            assert isinstance(planes, BitPlanes)
            out[mine] = read(planes.codes(), width)
        return out


def _integers(codes: Tensor, width: int) -> Tensor:
    signed = codes.view(torch.int8)
    return 2 * signed - 1 if width == 1 else signed - (1 << (width - 1))


def _join(field: UInt8[Tensor, "rows in"], width: int) -> UInt8[Tensor, "part in"]:
    """Row r of the plane holds rows r, r + part, ... of the field, the first one on top."""
    parts = field.view(_BYTE // width, -1, field.shape[1])
    plane = torch.zeros_like(parts[0])
    for number, part in enumerate(parts):
        plane |= part << (_BYTE - width * (number + 1))
    return plane


def _spread(plane: Tensor, width: int, top: int, out: Tensor) -> None:
    """Put the fields of `plane` into `out`, `top` bits from the top; the first plane overwrites."""
    parts = out.view(_BYTE // width, -1, out.shape[1])
    mask = (((1 << width) - 1) << (_BYTE - width)) >> top
    scratch = parts[0] if top == 0 else torch.empty_like(plane)
    for number, part in enumerate(parts):
        field = part if top == 0 else scratch
        _shift_left(plane, width * number - top, field)
        field.bitwise_and_(mask)
        if top:
            part.bitwise_or_(field)


def _shift_left(x: Tensor, bits: int, out: Tensor) -> None:
    # A byte-wide product is vectorised; torch's left shift is not, and takes four times as long.
    if bits < 0:
        torch.bitwise_right_shift(x, -bits, out=out)
    else:
        torch.mul(x, 1 << bits, out=out)
