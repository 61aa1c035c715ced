"""Mixed batches: the same samples, each with its own step and arguments."""

import pytest
import torch

from bitscape.calibration import mixed
from bitscape.structure import Call, constant_step


def calls() -> list[Call]:
    """Four samples a call; the first argument says the step, the second the sample."""
    return [
        Call(
            "",
            constant_step(step),
            (torch.full((4, 2), float(step)), torch.arange(4) + 4 * step, 3),
        )
        for step in range(6)
    ]


def test_each_sample_keeps_its_step_and_comes_once() -> None:
    found = mixed(calls(), 5, torch.Generator().manual_seed(0))
    assert [len(call.args[0]) for call in found] == [5, 5, 5, 5, 4]
    for call in found:
        x, number, plain = call.args
        assert plain == 3
        assert torch.equal(call.step[:, 0].float(), x[:, 0])
        assert torch.equal(call.step[:, 0], number // 4)
    assert any(len(call.step.unique()) > 2 for call in found)
    assert sorted(torch.cat([call.args[1] for call in found]).tolist()) == list(range(24))


def test_calls_that_cannot_be_divided_stay() -> None:
    tokens = Call("", torch.arange(3)[None], (torch.zeros(2, 3),))
    shared = Call("", constant_step(0), (torch.zeros(2, 3), torch.zeros(1, 1)))
    assert mixed([tokens, shared], 1, torch.Generator()) == [tokens, shared]


def test_calls_of_other_shapes_are_not_mixed() -> None:
    wide = Call("", constant_step(9), (torch.zeros(2, 7), torch.zeros(2), 3))
    found = mixed([*calls(), wide], 26, torch.Generator().manual_seed(0))
    assert [tuple(call.args[0].shape) for call in found] == [(24, 2), (2, 7)]


def test_a_batch_holds_something() -> None:
    with pytest.raises(ValueError, match="at least one sample, got 0"):
        mixed(calls(), 0, torch.Generator())
