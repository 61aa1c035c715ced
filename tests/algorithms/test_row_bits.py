"""Bits of rows: the published statistic, swaps that are optimal, choices that keep the mean."""

from itertools import combinations, product

import pytest
import torch
from scipy import stats

from bitscape.algorithms.row_bits import (
    Choice,
    keep_uniform,
    kurtosis,
    raise_by_error,
    raise_by_kurtosis,
    row_errors,
    swap_by_error,
    swap_by_kurtosis,
)
from bitscape.runtime import peaks, reset_peaks


def convex_errors(rows: int, seed: int = 0) -> torch.Tensor:
    """Errors that halve with every bit, more or less."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.rand(rows, generator=generator).mul(4).exp()
    shrink = 0.1 + 0.3 * torch.rand(2, rows, generator=generator)
    return torch.stack([size, size * shrink[0], size * shrink[0] * shrink[1] / 2])


def total(errors: torch.Tensor, offsets: torch.Tensor) -> float:
    return float(errors.gather(0, (offsets + 1)[None]).sum())


def test_kurtosis_divides_the_variance_by_one_less() -> None:
    W = torch.randn(6, 9, generator=torch.Generator().manual_seed(0)).exp()
    expected = stats.kurtosis(W.double(), axis=1, fisher=False) * (8 / 9) ** 2
    assert kurtosis(W).tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_kurtosis_of_gaussian_rows_is_three_and_of_constant_ones_nothing() -> None:
    W = torch.randn(4, 20_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(kurtosis(7 * W), torch.full((4,), 3.0), rtol=0.05, atol=0)
    assert kurtosis(torch.ones(2, 8)).tolist() == [0, 0]


@pytest.mark.parametrize("convex", [True, False])
def test_swaps_by_error_are_the_best_of_all_swaps(convex: bool) -> None:
    every = torch.tensor([o for o in product((-1, 0, 1), repeat=6) if sum(o) == 0])
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        errors = convex_errors(6, seed) if convex else torch.rand(3, 6, generator=generator)
        best = errors[:, None].expand(-1, len(every), -1).gather(0, (every + 1)[None]).sum(2).min()
        found = swap_by_error(torch.zeros(6, 1), errors)
        assert int(found.sum()) == 0
        assert total(errors, found) == pytest.approx(float(best))


@pytest.mark.parametrize("choice", [swap_by_error, swap_by_kurtosis])
@pytest.mark.parametrize("rows", [1, 7, 40])
def test_a_swap_keeps_the_mean_and_lowers_the_error(choice: Choice, rows: int) -> None:
    W = torch.randn(rows, 30, generator=torch.Generator().manual_seed(0))
    errors = convex_errors(rows)
    offsets = choice(W, errors)
    assert int(offsets.sum()) == 0
    assert total(errors, offsets) <= float(errors[1].sum())


def test_swaps_by_error_are_never_worse_than_by_kurtosis() -> None:
    for seed in range(20):
        W = torch.randn(30, 50, generator=torch.Generator().manual_seed(seed))
        errors = convex_errors(30, seed)
        assert total(errors, swap_by_error(W, errors)) <= total(errors, swap_by_kurtosis(W, errors))


def test_swaps_by_error_hold_a_byte_for_each_row_and_sum() -> None:
    rows = 2000
    errors = convex_errors(rows)
    swap_by_error(torch.zeros(1, 1), errors[:, :1])
    reset_peaks()
    before = peaks()["peak_memory_bytes"]
    swap_by_error(torch.zeros(rows, 1), errors)
    # In 64 bits the table alone would take 64 MB.
    assert peaks()["peak_memory_bytes"] - before < 4 * rows * (2 * rows + 1)


def test_rows_kept_uniform_stay_where_they_are() -> None:
    assert keep_uniform(torch.ones(5, 2), convex_errors(5)).tolist() == [0] * 5


def test_a_row_that_nobody_reads_gives_its_bit_away() -> None:
    errors = torch.tensor([[0.0, 9.0, 9.0], [0.0, 4.0, 1.0], [0.0, 1.0, 0.5]])
    assert swap_by_error(torch.zeros(3, 1), errors).tolist() == [-1, 1, 0]


def long_tailed(rows: int) -> torch.Tensor:
    """Rows of very different kurtosis, in no order."""
    drawn = torch.Generator().manual_seed(0)
    power = torch.linspace(1, 4, rows)[torch.randperm(rows, generator=drawn)]
    W = torch.randn(rows, 60, generator=drawn)
    return W.sign() * W.abs() ** power[:, None]


def test_swaps_by_kurtosis_are_of_the_best_share_of_its_order() -> None:
    W, errors = long_tailed(20), convex_errors(20)
    order = kurtosis(W).argsort(descending=True).tolist()
    tried = []
    for count in range(0, 11, 2):
        offsets = torch.zeros(20, dtype=torch.int64)
        offsets[order[:count]] = 1
        offsets[order[20 - count :]] = -1
        tried.append(offsets)
    # Long tails lose most, so that swaps are worth it.
    errors = errors * torch.logspace(2, -2, 20)[torch.tensor(order).argsort()]
    best = min(tried, key=lambda offsets: total(errors, offsets))
    assert bool(best.any())
    assert torch.equal(swap_by_kurtosis(W, errors), best)


def test_plus_by_error_is_the_best_tenth_of_all() -> None:
    errors = convex_errors(20)
    tried = []
    for pair in combinations(range(20), 2):
        offsets = torch.zeros(20, dtype=torch.int64)
        offsets[list(pair)] = 1
        tried.append(total(errors, offsets))
    found = raise_by_error(torch.zeros(20, 1), errors)
    assert sorted(found.tolist()) == [0] * 18 + [1] * 2
    assert total(errors, found) == pytest.approx(min(tried))


def test_plus_by_kurtosis_raises_the_tenth_of_longest_tails() -> None:
    W = long_tailed(40)
    offsets = raise_by_kurtosis(W, convex_errors(40))
    assert sorted(offsets.tolist()) == [0] * 36 + [1] * 4
    assert kurtosis(W)[offsets == 1].min() > kurtosis(W)[offsets == 0].max()


def test_errors_of_rows_add_up_to_the_output_error() -> None:
    torch.manual_seed(0)
    X, W = torch.randn(20, 6), torch.randn(5, 6)
    X_hat, W_hat = X + 0.1 * torch.randn_like(X), W + 0.1 * torch.randn_like(W)
    found = row_errors(X, X_hat, W, W_hat, torch.ones(20))
    torch.testing.assert_close(found, (X_hat @ W_hat.T - X @ W.T).square().sum(dim=0))
    weights = torch.randint(0, 4, (20,)).float()
    repeated = [x.repeat_interleave(weights.long(), dim=0) for x in (X, X_hat)]
    torch.testing.assert_close(
        row_errors(X, X_hat, W, W_hat, weights),
        row_errors(*repeated, W, W_hat, torch.ones(len(repeated[0]))),
    )
