"""The moving average: its recursion, and what it leaves alone."""

import pytest
import torch
from torch import nn

from bitscape.training.average import MovingAverage


def averaged(values: list[float], decay: float) -> float:
    """The average of a single weight that takes `values`, one an update."""
    module = nn.Linear(1, 1, bias=False)
    average = MovingAverage(module, decay)
    for value in values:
        nn.init.constant_(module.weight, value)
        average.update()
    average.apply()
    return module.weight.item()


def test_the_first_update_forgets_the_initial_weights() -> None:
    assert averaged([7.0], 0.999) == 7


def test_the_decay_rises_with_the_count_up_to_its_own() -> None:
    assert averaged([1.0, 0.0], 0.999) == pytest.approx(2 / 11)
    assert averaged([1.0, 0.0, 0.0], 0.999) == pytest.approx(2 / 11 * 3 / 12)
    # 4 / 13 would be more than the decay.
    assert averaged([1.0, 0.0, 0.0, 0.0], 0.3) == pytest.approx(2 / 11 * 3 / 12 * 0.3)
    assert averaged([1.0, 5.0], 0.0) == 5


def test_parameters_that_are_not_trained_are_left_alone() -> None:
    module = nn.Linear(1, 1)
    module.bias.requires_grad_(False)
    average = MovingAverage(module, 0.5)
    average.update()
    nn.init.constant_(module.bias, 3.0)
    average.update()
    average.apply()
    assert module.bias.item() == 3
    assert average.state_dict().keys() == {"n_averaged", "module.weight"}


def test_a_loaded_average_goes_on_as_the_one_that_was_saved() -> None:
    module = nn.Linear(3, 2)
    first, second = MovingAverage(module, 0.9), MovingAverage(module, 0.9)
    for step in range(4):
        nn.init.constant_(module.weight, float(step))
        first.update()
    second.load_state_dict(first.state_dict())
    for average in (first, second):
        nn.init.constant_(module.weight, 9.0)
        average.update()
    ours, theirs = first.state_dict(), second.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
