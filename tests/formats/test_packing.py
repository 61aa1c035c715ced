import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bitscape.formats import (
    Float,
    Int,
    Ternary,
    pack,
    pack_codes,
    pack_ternary,
    packed_trits,
    packed_words,
    unpack,
    unpack_codes,
    unpack_ternary,
)

every_width = pytest.mark.parametrize("bits", range(1, 9))


def draw(rows: int, columns: int, levels: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(levels, (rows, columns), generator=generator, dtype=torch.uint8)


@every_width
@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 4), columns=st.integers(1, 100), seed=st.integers(0, 99))
def test_unpack_inverts_pack(bits: int, rows: int, columns: int, seed: int) -> None:
    codes = draw(rows, columns, 1 << bits, seed)
    words = pack(codes, bits)
    assert words.dtype == torch.int32
    assert words.shape == (rows, packed_words(columns, bits))
    assert torch.equal(unpack(words, bits, columns), codes)


@every_width
@pytest.mark.parametrize("columns", [1, 31, 32, 33, 96, 100])
def test_order_is_that_of_compressed_tensors(bits: int, columns: int) -> None:
    theirs = pytest.importorskip("compressed_tensors.compressors.pack_quantized.helpers")
    codes = draw(5, columns, 1 << bits)
    signed = (codes.int() - (1 << (bits - 1))).to(torch.int8)
    expected = theirs.pack_to_int32(signed, bits)
    assert torch.equal(pack(codes, bits), expected)
    assert torch.equal(unpack(expected, bits, columns), codes)


def test_float4_and_float6_are_those_of_compressed_tensors() -> None:
    fp4 = pytest.importorskip("compressed_tensors.compressors.nvfp4.helpers")
    fp6 = pytest.importorskip("compressed_tensors.compressors.mxfp6.helpers")
    for fmt, theirs in ((Float(2, 1), fp4.pack_fp4_to_uint8), (Float(2, 3), fp6.pack_fp6_to_uint8)):
        values = fmt.round(torch.linspace(-8, 8, 192).view(3, 64))
        values = torch.where(values == 0, 0.0, values)  # they keep the sign of zero, we do not
        assert torch.equal(pack_codes(fmt.encode(values), fmt).view(torch.uint8), theirs(values))


def test_bits_lie_least_significant_first() -> None:
    words = pack(torch.tensor([[1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 7]], dtype=torch.uint8), 3)
    stream = sum(code << (3 * i) for i, code in enumerate([1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 7]))
    assert [word & 0xFFFFFFFF for word in words[0].tolist()] == [stream & 0xFFFFFFFF, stream >> 32]


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 4), columns=st.integers(1, 40), seed=st.integers(0, 99))
def test_trits_round_trip_five_to_a_byte(rows: int, columns: int, seed: int) -> None:
    codes = draw(rows, columns, 3, seed)
    packed = pack_ternary(codes)
    assert packed.dtype == torch.uint8
    assert packed.shape == (rows, packed_trits(columns))
    assert torch.equal(unpack_ternary(packed, columns), codes)


@pytest.mark.parametrize("fmt", [Int(3), Ternary()], ids=str)
def test_packing_by_format_round_trips(fmt: Int | Ternary) -> None:
    codes = draw(3, 17, 3)
    assert torch.equal(unpack_codes(pack_codes(codes, fmt), fmt, 17), codes)


@pytest.mark.parametrize("fmt", [Int(3), Ternary()], ids=str)
def test_memory_layout_does_not_matter(fmt: Int | Ternary) -> None:
    codes = draw(40, 40, 3)
    assert torch.equal(pack_codes(codes.t(), fmt), pack_codes(codes.t().contiguous(), fmt))
    packed = pack_codes(codes, fmt)
    strided = torch.stack([packed, packed], dim=-1)[:, :, 0]
    assert torch.equal(unpack_codes(strided, fmt, 40), codes)


def test_empty_rows_pack_to_nothing() -> None:
    codes = torch.zeros(3, 0, dtype=torch.uint8)
    assert pack(codes, 3).shape == (3, 0)
    assert unpack(pack(codes, 3), 3, 0).shape == (3, 0)


def test_what_does_not_fit_is_refused() -> None:
    codes = torch.full((1, 4), 3, dtype=torch.uint8)
    with pytest.raises(ValueError, match="code 3 does not fit in 1 bits"):
        pack(codes, 1)
    with pytest.raises(ValueError, match="got 9"):
        pack(codes, 9)
    with pytest.raises(ValueError, match="code 3 is not a trit"):
        pack_ternary(codes)
    with pytest.raises(ValueError, match="take 2 words a row, got 1"):
        unpack(pack(codes, 8), 8, 8)
    with pytest.raises(ValueError, match="take 2 bytes a row, got 1"):
        unpack_ternary(torch.zeros(1, 1, dtype=torch.uint8), 6)
