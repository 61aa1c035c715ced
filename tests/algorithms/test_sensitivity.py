"""Distances of outputs, step by step."""

import torch

from bitscape.algorithms.sensitivity import (
    add_by_step,
    divergence,
    relative_square,
    step_means,
)


def test_equal_outputs_have_no_distance_and_others_a_positive_one() -> None:
    x = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    for distance in (divergence, relative_square):
        assert float(distance(x, x).abs().max()) < 1e-6
        assert float(distance(x, x + x.sin()).min()) > 0
    assert divergence(x, x + 7).abs().max() < 1e-6


def test_means_are_those_of_the_tokens_of_each_step() -> None:
    totals = torch.zeros(4, 2, dtype=torch.float64)
    errors = torch.tensor([[1.0, 2.0, 4.0], [3.0, 6.0, 8.0]])
    add_by_step(errors, torch.tensor([[0, 2, 2]]), totals)
    assert step_means(totals) == [2.0, 5.0]
    add_by_step(torch.tensor([[10.0], [20.0]]), torch.tensor([[3], [2]]), totals)
    assert step_means(totals) == [2.0, 8.0, 10.0]
