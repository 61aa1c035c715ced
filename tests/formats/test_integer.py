import pytest
import torch

from bitscape.formats import Int


@pytest.mark.parametrize("bits", range(1, 9))
def test_range_is_that_of_the_machine_integers(bits: int) -> None:
    assert (Int(bits).qmin, Int(bits).qmax) == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    assert (Int(bits, signed=False).qmin, Int(bits, signed=False).qmax) == (0, 2**bits - 1)


def test_codes_are_offset_binary() -> None:
    assert Int(4).encode(torch.tensor([-8.0, 0.0, 7.0])).tolist() == [0, 8, 15]


@pytest.mark.parametrize("bits", [0, 9, -1])
def test_other_widths_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="1 to 8 bits"):
        Int(bits)
