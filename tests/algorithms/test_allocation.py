"""Allocation: exact where everything can be tried, within the budget always."""

from itertools import product

import numpy as np
import pytest

from bitscape.algorithms.allocation import allocate


@pytest.mark.parametrize("seed", range(6))
def test_allocation_equals_trying_everything(seed: int) -> None:
    drawn = np.random.default_rng(seed)
    losses = drawn.exponential(size=(5, 3)) * 1e-9
    costs = drawn.integers(1, 9, size=(5, 3)) * drawn.integers(1, 100, size=(5, 1)) * 1.0
    budget = float(costs.min(1).sum() * 1.3)
    tried = [
        (sum(losses[range(5), pick]), pick)
        for pick in product(range(3), repeat=5)
        if sum(costs[range(5), pick]) <= budget
    ]
    found = allocate(losses.tolist(), costs.tolist(), budget)
    assert sum(costs[range(5), found]) <= budget * (1 + 1e-9)
    assert sum(losses[range(5), found]) == pytest.approx(min(loss for loss, _ in tried))


def test_a_rich_budget_takes_the_best_of_each() -> None:
    assert allocate([[3, 1, 2], [1, 5]], [[1, 9, 2], [7, 1]], 100) == [1, 0]


def test_a_budget_that_nothing_fits_names_what_would() -> None:
    with pytest.raises(ValueError, match="budget of 2 is too small: the least that fits is 3"):
        allocate([[1, 2], [1, 2]], [[1, 5], [2, 5]], 2)
