"""Objectives: what a batch loses is the mean of what its samples lose."""

import pytest
import torch

from bitscape.passes.objectives import relative_error


def test_the_error_of_a_batch_is_the_mean_of_its_parts() -> None:
    torch.manual_seed(0)
    scale = torch.logspace(-2, 2, 6).view(6, 1, 1)
    target, y = scale * torch.randn(6, 5, 3), scale * torch.randn(6, 5, 3)
    parts = [relative_error(a, b) for a, b in zip(y.split(2), target.split(2), strict=True)]
    whole = relative_error(y, target)
    assert float(whole) == pytest.approx(float(torch.stack(parts).mean()), rel=1e-6)
    errors = [float((a - b).norm() / b.norm()) ** 2 for a, b in zip(y, target, strict=True)]
    assert float(whole) == pytest.approx(sum(errors) / 6, rel=1e-5)


def test_a_sample_of_nothing_but_zeros_gives_a_number() -> None:
    assert relative_error(torch.zeros(2, 3), torch.zeros(2, 3)) == 0
