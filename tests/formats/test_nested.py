"""Nested integers: slices of codes and slices of numbers are the same, and cost nothing."""

import pytest
import torch

from bitscape.formats import Format, Int, Slice


@pytest.mark.parametrize(("bits", "whole"), [(4, 4), (3, 4), (2, 4), (1, 4), (4, 8), (2, 8)])
def test_cutting_codes_and_rounding_numbers_agree(bits: int, whole: int) -> None:
    cut, full = Slice(bits, whole), Int(whole)
    assert isinstance(cut, Format)
    integers = full.values()
    read = cut.decode(cut.cut(full.encode(integers)))
    assert torch.equal(read, cut.round(integers / cut.spread))
    # No integer is further than half a step from what it reads, but for those cut off at the top.
    inside = integers < cut.highest * cut.spread
    assert ((read * cut.spread - integers).abs()[inside] <= cut.spread / 2).all()
    assert read.unique().tolist() == cut.values().tolist()


def test_all_bits_are_the_integer_itself() -> None:
    x = torch.linspace(-12, 12, 97)
    assert torch.equal(Slice(4, 4).round(x), Int(4).round(x))


def test_more_bits_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="first 5 bits of 4"):
        Slice(5, 4)
