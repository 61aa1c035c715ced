"""AdaRound's pieces: neighbours of any format, and the sigmoid that decides between them."""

import math

import pytest
import torch

from bitscape.algorithms.rounding import (
    annealed,
    into_cell,
    inverse_rectified_sigmoid,
    neighbours,
    rectified_sigmoid,
    undecided,
)
from bitscape.formats import Format, Int, MixedInt, parse_format


def test_neighbours_of_integers_are_floor_and_ceiling() -> None:
    x = torch.tensor([-9.3, -8.0, -0.5, 0.0, 3.2, 6.9, 7.0, 12.0])
    low, high = neighbours(x, parse_format("int4"))
    assert low.tolist() == [-8, -8, -1, 0, 3, 6, 6, 6]
    assert high.tolist() == [-7, -7, 0, 1, 4, 7, 7, 7]


@pytest.mark.parametrize("name", ["int3", "uint4", "e2m1", "e4m3", "e3m0", "ternary"])
def test_neighbours_enclose_and_are_adjacent(name: str) -> None:
    fmt = parse_format(name)
    values = fmt.values()
    span = float(values[-1] - values[0])
    share = torch.rand(200, generator=torch.Generator().manual_seed(0))
    x = values[0] + share * span
    low, high = neighbours(x, fmt)
    assert bool(((low <= x) & (x <= high)).all())
    assert torch.equal(torch.searchsorted(values, low) + 1, torch.searchsorted(values, high))
    nearest = torch.where(x - low < high - x, low, high)
    assert bool(((fmt.round(x) == nearest) | ((x - low) == (high - x))).all())


def test_sigmoid_and_its_inverse_reach_both_ends() -> None:
    h = torch.linspace(0, 1, 11)
    torch.testing.assert_close(rectified_sigmoid(inverse_rectified_sigmoid(h)), h)
    assert rectified_sigmoid(torch.tensor([-9.0, 9.0])).tolist() == [0, 1]


def test_penalty_vanishes_once_all_is_decided() -> None:
    decided = torch.tensor([0.0, 1.0, 1.0])
    for beta in (2.0, 20.0):
        assert float(undecided(decided, beta)) == 0
        assert float(undecided(torch.tensor([0.5]), beta)) == 1


def test_the_exponent_falls_along_half_a_cosine() -> None:
    for progress in (0.0, 0.25, 0.5, 0.9, 1.0):
        expected = 11 + 9 * math.cos(math.pi * progress)
        assert annealed(progress) == pytest.approx(expected, rel=1e-6)
    assert annealed(0.25, start=1.0, stop=0.0) == pytest.approx(0.5 + 0.5 * math.sqrt(0.5))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("base", [2, 4, 7])
def test_cells_of_mixed_rows_are_those_of_each_row(base: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.randint(-1, 2, (12,), generator=generator)
    fmt = MixedInt(base, tuple((base + offsets).tolist()))
    wide = 1.5 * 2.0**base
    x = wide * torch.randn(12, 1, 50, generator=generator)
    taken = fmt.round(wide * torch.randn(12, 1, 50, generator=generator))
    placed = into_cell(x, taken, fmt)
    assert torch.equal(fmt.round(placed), taken)
    # What lies well inside its own cell stays, and beyond an end of its row whatever lies there.
    own = fmt.round(x)
    low, high = fmt.limits(x)
    half = torch.where(high - low == 2, 1.0, 0.5)
    beyond = (x < low) | (x > high)
    inside = beyond | ((x - own).abs() < 0.9 * half)
    assert bool(beyond.any())
    assert torch.equal(into_cell(x, own, fmt)[inside], x[inside])
    nearest = (placed - x).abs()
    assert bool((nearest <= (taken - x).abs()).all())


@pytest.mark.parametrize("width", [2, 3, 5])
def test_cells_of_rows_of_one_width_are_those_of_plain_integers(width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    plain: Format = Int(width)
    x, y = (2.0**width * torch.randn(2, 6, 1, 40, generator=generator)).unbind()
    taken = plain.round(y)
    for base in {max(2, width - 1), width, width + 1}:
        mixed = MixedInt(base, (width,) * 6)
        assert torch.equal(into_cell(x, taken, mixed), into_cell(x, taken, plain))


def test_a_row_of_one_bit_keeps_everything_of_one_sign() -> None:
    fmt = MixedInt(2, (1,))
    x = torch.tensor([[-3.0, -0.3, 0.3, 3.0]])
    assert torch.equal(into_cell(x, fmt.round(x), fmt), x)
    crossed = torch.tensor([[0.04, 0.04, -0.04, -0.04]])
    torch.testing.assert_close(into_cell(x, -fmt.round(x), fmt), crossed)
