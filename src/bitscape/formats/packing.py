"""Dense bit packing: codes side by side, least significant bit first, across word borders.

The order is that of compressed-tensors from 0.18 on (earlier releases padded widths that do not
divide 32): bit b of code i is bit i * bits + b of the row, words are little-endian. Eight codes of
b bits are exactly b bytes, which is the unit worked on here.
"""

import torch
from jaxtyping import Int32, UInt8
from torch import Tensor
from torch.nn import functional

from bitscape.formats.format import Format
from bitscape.formats.ternary import Ternary

_WORD_BYTES = 4
_TRITS = 5


def packed_words(columns: int, bits: int) -> int:
    """The number of 32-bit words that hold `columns` codes: ceil(columns bits / 32)."""
    return -(-columns * bits // 32)


def packed_trits(columns: int) -> int:
    """The number of bytes that hold `columns` trits: ceil(columns / 5)."""
    return -(-columns // _TRITS)


def pack_codes(codes: UInt8[Tensor, "rows n"], fmt: Format) -> Tensor:
    """The codes of `fmt` as they are stored: five trits a byte for ternary, else `pack`ed words."""
    return pack_ternary(codes) if isinstance(fmt, Ternary) else pack(codes, fmt.code_bits)


def unpack_codes(packed: Tensor, fmt: Format, n: int) -> UInt8[Tensor, "rows n"]:
    """The first `n` codes of each row: the inverse of `pack_codes`."""
    if isinstance(fmt, Ternary):
        return unpack_ternary(packed, n)
    return unpack(packed, fmt.code_bits, n)


def pack(codes: UInt8[Tensor, "rows n"], bits: int) -> Int32[Tensor, "rows words"]:
    """The codes packed row by row; every row starts on a new word."""
    _check_width(bits)
    if codes.numel() and int(codes.max()) >= 1 << bits:
        raise ValueError(f"code {int(codes.max())} does not fit in {bits} bits")
    rows, columns = codes.shape
    eights = -(-columns // 8)
    padded = functional.pad(codes, (0, -columns % 8)).reshape(rows, eights, 8)
    joined = torch.zeros(rows, eights, dtype=torch.int64, device=codes.device)
    for i in range(8):
        joined |= padded[:, :, i].to(torch.int64) << (i * bits)
    dense = joined.view(torch.uint8).view(rows, eights, 8)[:, :, :bits].reshape(rows, eights * bits)
    size = packed_words(columns, bits)
    return _fit(dense, size * _WORD_BYTES).flatten().view(torch.int32).view(rows, size)


def unpack(words: Int32[Tensor, "rows words"], bits: int, n: int) -> UInt8[Tensor, "rows n"]:
    """The first `n` codes of each row: the inverse of `pack`."""
    _check_width(bits)
    rows, width = words.shape
    if width != packed_words(n, bits):
        raise ValueError(
            f"{n} codes of {bits} bits take {packed_words(n, bits)} words a row, got {width}"
        )
    eights = -(-n // 8)
    dense = _fit(words.contiguous().view(torch.uint8), eights * bits)
    wide = torch.zeros(rows, eights, 8, dtype=torch.uint8, device=words.device)
    wide[:, :, :bits] = dense.view(rows, eights, bits)
    joined = wide.view(torch.int64).squeeze(-1)  # (rows, eights)
    codes = torch.empty_like(wide)
    for i in range(8):
        codes[:, :, i] = (joined >> (i * bits)) & ((1 << bits) - 1)
    return codes.view(rows, eights * 8)[:, :n].contiguous()


def pack_ternary(codes: UInt8[Tensor, "rows n"]) -> UInt8[Tensor, "rows bytes"]:
    """Five codes a byte, sum of code_i 3^i; every row starts on a new byte."""
    if codes.numel() and int(codes.max()) > 2:
        raise ValueError(f"code {int(codes.max())} is not a trit: trits are 0, 1 and 2")
    rows, columns = codes.shape
    padded = functional.pad(codes, (0, -columns % _TRITS))
    fives = padded.reshape(rows, packed_trits(columns), _TRITS)
    powers = torch.tensor([3**i for i in range(_TRITS)], dtype=torch.uint8, device=codes.device)
    return (fives * powers).sum(dim=-1, dtype=torch.uint8)


def unpack_ternary(packed: UInt8[Tensor, "rows bytes"], n: int) -> UInt8[Tensor, "rows n"]:
    """The first `n` codes of each row: the inverse of `pack_ternary`."""
    if packed.shape[1] != packed_trits(n):
        raise ValueError(f"{n} trits take {packed_trits(n)} bytes a row, got {packed.shape[1]}")
    powers = torch.tensor([3**i for i in range(_TRITS)], dtype=torch.uint8, device=packed.device)
    trits = (packed.unsqueeze(-1) // powers) % 3
    return trits.flatten(1)[:, :n].contiguous()


def _fit(rows: Tensor, size: int) -> Tensor:
    # Cut or fill with zeros: whole words and whole eights of codes rarely end together.
    return functional.pad(rows[:, :size], (0, max(0, size - rows.shape[1]))).contiguous()


def _check_width(bits: int) -> None:
    if not 1 <= bits <= 8:
        raise ValueError(f"codes of 1 to 8 bits can be packed, got {bits}")
