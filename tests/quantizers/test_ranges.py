import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bitscape.formats import Float, Format, Int, Ternary
from bitscape.quantizers import (
    RANGES,
    Grid,
    bounds_grid,
    dequantize,
    fake_quantize,
    minmax,
    mse,
    percentile,
    quantize,
)
from bitscape.quantizers.ranges import RangeRule

CASES: list[tuple[Format, bool]] = [
    (Int(4), True),
    (Int(3, signed=False), False),
    (Int(8, signed=False), False),
    (Float(2, 1), True),
    (Float(4, 3), True),
    (Ternary(), True),
]
every_case = pytest.mark.parametrize(("fmt", "symmetric"), CASES, ids=lambda case: str(case))
every_rule = pytest.mark.parametrize("rule", RANGES.values(), ids=RANGES.keys())


def sample(rows: int = 5, size: int = 200) -> Tensor:
    return torch.randn(rows, 1, size, generator=torch.Generator().manual_seed(0))


def error(x: Tensor, grid: Grid, fmt: Format, norm: float = 2.0) -> Tensor:
    return (fake_quantize(x, grid, fmt) - x).abs().pow(norm).sum(dim=-1)


@every_rule
@every_case
def test_grids_hold_zero_and_integer_zero_points(
    rule: RangeRule, fmt: Format, symmetric: bool
) -> None:
    x = sample() + 0.5
    grid = rule(x, fmt, symmetric)
    assert grid.scale.shape == (5, 1, 1)
    assert bool((grid.scale > 0).all())
    assert (grid.zero is None) == symmetric
    zeros = torch.zeros_like(x)
    assert torch.equal(fake_quantize(zeros, grid, fmt), zeros)
    if grid.zero is not None:
        assert bool(torch.isin(grid.zero, fmt.values()).all())


@every_rule
@every_case
def test_dead_groups_get_scale_one(rule: RangeRule, fmt: Format, symmetric: bool) -> None:
    x = torch.cat([torch.zeros(1, 1, 200), sample()])
    grid = rule(x, fmt, symmetric)
    assert float(grid.scale[0]) == 1
    assert grid.zero is None or float(grid.zero[0]) == 0
    assert torch.equal(fake_quantize(x, grid, fmt)[0], x[0])


@every_rule
@every_case
@pytest.mark.parametrize("value", [-3.3, 1e-6, 0.7, 1e30])
def test_constant_groups_are_representable(
    rule: RangeRule, fmt: Format, symmetric: bool, value: float
) -> None:
    x = torch.full((2, 1, 50), value)
    grid = rule(x, fmt, symmetric)
    torch.testing.assert_close(fake_quantize(x, grid, fmt), x, rtol=1e-6, atol=0)


@every_rule
@every_case
@pytest.mark.parametrize("magnitude", [1.5e38, 1e-38, 1e-44])
def test_extreme_magnitudes_stay_finite(
    rule: RangeRule, fmt: Format, symmetric: bool, magnitude: float
) -> None:
    x = sample().clamp(-1, 1) * magnitude
    grid = rule(x, fmt, symmetric)
    assert bool(grid.scale.isfinite().all())
    assert bool((grid.scale > 0).all())
    assert bool(fake_quantize(x, grid, fmt).isfinite().all())


@every_rule
@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
def test_nan_and_infinity_are_refused(rule: RangeRule, wrong: float) -> None:
    x = sample()
    x[1, 0, 3] = wrong
    with pytest.raises(ValueError, match="1 of 1000 values are NaN or infinite"):
        rule(x, Int(4), True)


@every_case
@settings(max_examples=25, deadline=None)
@given(
    numbers=st.lists(st.floats(-(2.0**60), 2.0**60, width=32), min_size=1, max_size=20),
)
def test_minmax_saturates_nothing_by_more_than_rounding(
    fmt: Format, symmetric: bool, numbers: list[float]
) -> None:
    x = torch.tensor(numbers, dtype=torch.float32)
    grid = minmax(x, fmt, symmetric)
    half = grid.scale * float(fmt.values().diff().max()) / 2
    # The rounded zero point moves an asymmetric range by up to half a step.
    slack = 1.0001 if symmetric else 2.0001
    assert bool(((fake_quantize(x, grid, fmt) - x).abs() <= slack * half).all())


def test_minmax_is_the_textbook_grid() -> None:
    x = torch.tensor([[-1.0, 0.5, 2.0]])
    assert minmax(x, Int(4), True).scale.item() == pytest.approx(2 / 7)
    grid = minmax(x, Int(4, signed=False), False)
    assert grid.zero is not None
    assert (grid.scale.item(), grid.zero.item()) == (pytest.approx(0.2), 5)


def test_one_bit_integers_have_a_grid() -> None:
    x = torch.tensor([[-1.0, 0.25, -0.75, 0.0]])
    assert fake_quantize(x, minmax(x, Int(1), True), Int(1)).tolist() == [[-1, 0, -1, 0]]
    fmt = Int(1, signed=False)
    grid = minmax(x.clamp(max=0), fmt, False)
    assert fake_quantize(x, grid, fmt).tolist() == [[-1, 0, -1, 0]]


@every_case
@pytest.mark.parametrize("norm", [2.0, 2.4])
def test_mse_equals_a_search_one_candidate_at_a_time(
    fmt: Format, symmetric: bool, norm: float
) -> None:
    x = sample(3, 50)
    low, high = x.aminmax(dim=-1, keepdim=True)
    grids = [
        bounds_grid(low * factor, high * factor, fmt, symmetric)
        for factor in 1 - 0.01 * torch.arange(80)
    ]
    best = torch.stack([error(x, grid, fmt, norm) for grid in grids]).min(dim=0).values
    found = error(x, mse(norm=norm)(x, fmt, symmetric), fmt, norm)
    torch.testing.assert_close(found, best)


@pytest.mark.parametrize("chunk", [1, 1000, 10**9])
def test_mse_does_not_depend_on_the_chunks(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = sample(7, 64)
    whole = mse()(x, Int(3), True).scale
    monkeypatch.setattr("bitscape.quantizers.ranges._CHUNK", chunk)
    assert torch.equal(mse()(x, Int(3), True).scale, whole)


@every_case
def test_mse_never_loses_to_minmax(fmt: Format, symmetric: bool) -> None:
    x = sample()
    found = error(x, mse()(x, fmt, symmetric), fmt)
    assert bool((found <= error(x, minmax(x, fmt, symmetric), fmt)).all())


def test_percentile_leaves_the_stated_share_outside() -> None:
    x = torch.arange(-500.0, 500.0).view(1, 1, -1)
    fmt, unsigned = Int(8), Int(8, signed=False)
    assert percentile(99.0)(x, fmt, True).scale.item() == pytest.approx(495 / 127)
    assert percentile(99.0)(x, unsigned, False).scale.item() == pytest.approx(989 / 255)
    assert percentile(99.9)(x, fmt, True).scale.item() == pytest.approx(499 / 127)
    assert torch.equal(percentile(100.0)(x, fmt, True).scale, minmax(x, fmt, True).scale)


def test_percentile_keeps_the_extremes_of_sparse_groups() -> None:
    x = torch.zeros(1, 1, 10000)
    x[..., 0] = 2.0
    for fmt, symmetric in ((Int(8), True), (Int(8, signed=False), False)):
        expected = minmax(x, fmt, symmetric).scale
        assert torch.equal(percentile(99.0)(x, fmt, symmetric).scale, expected)


def test_options_out_of_range_are_refused() -> None:
    for p in (50.0, 101.0):
        with pytest.raises(ValueError, match="percentile"):
            percentile(p)
    for steps in (0, 101):
        with pytest.raises(ValueError, match="candidates"):
            mse(steps=steps)


@pytest.mark.parametrize("name", ["percentiles", "search"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_best_of_several_rules_is_no_worse_than_each(name: str, symmetric: bool) -> None:
    x = torch.randn(3, 1, 4000, generator=torch.Generator().manual_seed(0)) + 0.3
    x[1] = x[1].exp()
    fmt = Int(4, signed=symmetric)

    def error(rule: RangeRule) -> torch.Tensor:
        grid = rule(x, fmt, symmetric)
        return (dequantize(quantize(x, grid, fmt), grid) - x).square().sum(dim=-1)

    best = error(RANGES[name])
    for p in (99.8, 99.98):
        assert (best <= error(percentile(p)) * (1 + 1e-6)).all()
    if name == "search":
        assert (best <= error(RANGES["mse"]) * (1 + 1e-6)).all()
