import pytest
import torch

from bitscape.runtime import BitPlanes, resident_bytes


def draw(bits: int, rows: int, columns: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(bits)
    return torch.randint(1 << bits, (rows, columns), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("rows", [8, 24, 13, 1])
@pytest.mark.parametrize("bits", range(1, 9))
def test_codes_come_back(bits: int, rows: int) -> None:
    codes = draw(bits, rows, 11)
    planes = BitPlanes(codes, bits)
    assert torch.equal(planes.codes(), codes)
    assert torch.equal(planes.left_aligned(), codes << (8 - bits))


@pytest.mark.parametrize("bits", range(1, 9))
def test_values_are_twos_complement(bits: int) -> None:
    signed = torch.arange(-(1 << (bits - 1)), 1 << (bits - 1), dtype=torch.int16).view(-1, 1)
    codes = (signed & ((1 << bits) - 1)).to(torch.uint8)
    values = BitPlanes(codes, bits).values()
    assert torch.equal(values.to(torch.int16), signed * (1 << (8 - bits)))


@pytest.mark.parametrize("bits", range(1, 9))
def test_bytes_are_the_real_width(bits: int) -> None:
    assert resident_bytes(BitPlanes(draw(bits, 16, 10), bits)) == 16 * 10 * bits // 8
