"""The step clock: two axes, set by the driver, an error when unset."""

import pytest
import torch

from bitscape.structure import StepClock


def test_reading_an_unset_clock_raises() -> None:
    with pytest.raises(RuntimeError, match="not set"):
        StepClock().read()


def test_setting_the_same_shape_keeps_the_storage() -> None:
    clock = StepClock()
    clock.set(torch.tensor([[3]]))
    before = clock.read().data_ptr()
    clock.set(torch.tensor([[5]]))
    assert clock.read().data_ptr() == before
    assert clock.read().item() == 5


@pytest.mark.parametrize("shape", [(4, 1), (1, 7)], ids=["mixed steps", "positions"])
def test_shape_may_change_between_calls(shape: tuple[int, int]) -> None:
    clock = StepClock()
    clock.set(torch.zeros(1, 1, dtype=torch.int64))
    clock.set(torch.arange(max(shape)).reshape(shape))
    assert clock.read().shape == shape


def test_an_index_without_two_axes_is_refused() -> None:
    with pytest.raises(ValueError, match="two axes"):
        StepClock().set(torch.zeros(3, dtype=torch.int64))


def test_unsetting_makes_the_next_read_an_error() -> None:
    clock = StepClock()
    clock.set(torch.zeros(1, 1, dtype=torch.int64))
    clock.unset()
    with pytest.raises(RuntimeError):
        clock.read()


def test_the_index_is_not_saved() -> None:
    assert not StepClock().state_dict()


def test_setting_never_changes_what_was_given() -> None:
    clock = StepClock()
    given = [torch.tensor([[3], [7]]), torch.tensor([[900], [901]]), torch.tensor([[1], [2]])]
    before = [index.clone() for index in given]
    for index in given:
        clock.set(index)
    clock.read().add_(1)
    assert all(torch.equal(now, then) for now, then in zip(given, before, strict=True))
