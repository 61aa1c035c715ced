"""Rows of mixed width: each is the integer format of its width, a row of one bit a sign."""

import pytest
import torch

from bitscape.formats import (
    Granularity,
    Int,
    MixedInt,
    TensorScheme,
    parse_format,
    parse_tensor_scheme,
    tensor_cost,
)


def test_a_row_rounds_as_the_integers_of_its_width() -> None:
    x = 8 * torch.randn(3, 1, 50, generator=torch.Generator().manual_seed(0))
    fmt = MixedInt(3, (2, 3, 4))
    q = fmt.round(x)
    for row, width in enumerate(fmt.widths):
        assert torch.equal(q[row], Int(width).round(x[row]))
        assert torch.equal(fmt.encode(q)[row], Int(width).encode(q[row]))
    assert torch.equal(fmt.decode(fmt.encode(q)), q)


def test_a_row_of_one_bit_holds_a_sign() -> None:
    x = torch.tensor([[-3.0, -0.1, 0.0, 0.1, 1.9, 2.0, 5.0]])
    fmt = MixedInt(2, (1,))
    q = fmt.round(x)
    assert q.tolist() == [[-1, -1, 1, 1, 1, 1, 1]]
    assert torch.equal(fmt.round(q), q)
    assert fmt.encode(q).tolist() == [[0, 0, 1, 1, 1, 1, 1]]
    assert torch.equal(fmt.decode(fmt.encode(q)), q)


def test_the_name_is_read_back_and_the_widths_are_not_part_of_it() -> None:
    scheme = TensorScheme(MixedInt(4, (3, 5)), Granularity("channel"))
    assert str(scheme) == "int4rows@channel"
    assert parse_tensor_scheme(str(scheme)).format == parse_format("int4rows") == MixedInt(4)


@pytest.mark.parametrize(("base", "widths"), [(1, ()), (8, ()), (4, (2,)), (4, (6,))])
def test_widths_lie_around_a_base_that_has_neighbours(base: int, widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one more or one less"):
        MixedInt(base, widths)


def test_other_rows_than_those_with_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 rows, got 3"):
        MixedInt(4, (4, 4)).round(torch.ones(3, 2))


def test_swaps_cost_nothing_but_the_widths_themselves() -> None:
    channel = Granularity("channel")
    uniform = tensor_cost((64, 96), TensorScheme(Int(3), channel))
    widths = (2,) * 20 + (3,) * 24 + (4,) * 20
    mixed = tensor_cost((64, 96), TensorScheme(MixedInt(3, widths), channel))
    assert mixed.nominal_bits == uniform.nominal_bits
    assert mixed.code_bits == uniform.code_bits
    assert mixed.total_bits == uniform.total_bits + 2 * 64
