"""The laws every format with numbers obeys."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bitscape.formats import E8M0, Float, Format, Int, Ternary, parse_format

INTS = [Int(bits, signed) for bits in range(1, 9) for signed in (True, False)]
FLOATS = [Float(exp, man) for exp in range(1, 8) for man in range(8 - exp)]
FORMATS: list[Format] = [*INTS, *FLOATS, Ternary(), E8M0()]

every_format = pytest.mark.parametrize("fmt", FORMATS, ids=str)
inputs = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40)


def nearest(x: Tensor, fmt: Format) -> Tensor:
    # Brute force in float64, where the distance of a float32 to either neighbour is exact; beyond
    # the bounds it need not be, hence the clamp.
    values = fmt.values().double()
    x = x.double().clamp(2 * fmt.lowest - 1, 2 * fmt.highest + 1)
    distance = (x.unsqueeze(-1) - values).abs()
    least = distance.min(dim=-1, keepdim=True).values
    odd = (fmt.encode(fmt.values()).int() % 2).bool()
    if isinstance(fmt, Int | Ternary):
        odd = fmt.values() % 2 != 0
    tied = distance == least
    even = tied & ~odd
    choice = torch.where(even.any(dim=-1, keepdim=True), even, tied)
    return fmt.values()[choice.int().argmax(dim=-1)]


def probes(fmt: Format) -> Tensor:
    values = fmt.values()
    middles = (values[1:].double() + values[:-1].double()).div(2).float()
    middles = middles[middles.isfinite()]
    infinity = torch.tensor(torch.inf)
    around = [torch.nextafter(middles, infinity), torch.nextafter(middles, -infinity)]
    return torch.cat([values, middles, *around, values * 1.0001, torch.randn(200) * fmt.largest])


@every_format
def test_round_takes_the_nearest_value_and_even_ties(fmt: Format) -> None:
    torch.manual_seed(0)
    x = probes(fmt)
    x = x[x.isfinite()]
    kept = x.clone()
    assert torch.equal(fmt.round(x), nearest(x, fmt))
    assert torch.equal(x, kept)
    assert torch.equal(fmt.round(kept, inplace=True), nearest(x, fmt))


@every_format
@settings(max_examples=15, deadline=None)
@given(numbers=inputs)
def test_round_is_idempotent_and_monotone(fmt: Format, numbers: list[float]) -> None:
    rounded = fmt.round(torch.tensor(sorted(numbers), dtype=torch.float32))
    assert torch.equal(fmt.round(rounded), rounded)
    assert bool((rounded.diff() >= 0).all())
    assert bool(torch.isin(rounded, fmt.values()).all())


@settings(max_examples=150, deadline=None)
@given(fmt=st.sampled_from(FORMATS), numbers=inputs)
def test_round_is_nearest(fmt: Format, numbers: list[float]) -> None:
    x = torch.tensor([x for x in numbers if math.isfinite(x)], dtype=torch.float32)
    assert torch.equal(fmt.round(x), nearest(x, fmt))


@every_format
def test_decode_inverts_encode(fmt: Format) -> None:
    values = fmt.values()
    codes = fmt.encode(values)
    assert codes.dtype == torch.uint8
    assert int(codes.max()) < 1 << fmt.code_bits
    assert codes.unique().numel() == values.numel()
    assert torch.equal(fmt.decode(codes), values)


@every_format
def test_values_ascend_between_the_bounds(fmt: Format) -> None:
    values = fmt.values()
    assert bool((values.diff() > 0).all())
    assert (float(values[0]), float(values[-1])) == (fmt.lowest, fmt.highest)
    assert float(values.abs().max()) == fmt.largest


@every_format
def test_round_keeps_nan_and_saturates_infinity(fmt: Format) -> None:
    rounded = fmt.round(torch.tensor([torch.nan, torch.inf, -torch.inf, 3e38, -3e38]))
    assert bool(rounded[0].isnan())
    assert rounded[1:].tolist() == [fmt.highest, fmt.lowest, fmt.highest, fmt.lowest]


@every_format
def test_round_keeps_the_dtype_and_the_shape(fmt: Format) -> None:
    for shape in ((), (0,), (2, 3), (2, 0, 3)):
        rounded = fmt.round(torch.ones(shape, dtype=torch.bfloat16))
        assert (rounded.dtype, rounded.shape) == (torch.bfloat16, shape)
        assert fmt.decode(fmt.encode(rounded)).shape == shape


@every_format
def test_parse_inverts_the_name(fmt: Format) -> None:
    assert parse_format(str(fmt)) == fmt
    assert str(fmt) == fmt.name
