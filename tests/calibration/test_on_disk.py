"""Calls on disk are the calls that were put there."""

import torch

from bitscape.calibration.on_disk import on_disk
from bitscape.structure import Call, constant_step


def test_steps_arguments_and_what_is_no_tensor_come_back() -> None:
    calls = [
        Call("", constant_step(4), (torch.randn(2, 3), None, torch.arange(2), 1.5)),
        Call("head", torch.arange(3)[None], ("text", torch.randn(2))),
        Call("", constant_step(1), ()),
    ]
    found = on_disk(iter(calls))
    assert [call.net for call in found] == ["", "head", ""]
    for ours, theirs in zip(found, calls, strict=True):
        assert torch.equal(ours.step, theirs.step)
        assert len(ours.args) == len(theirs.args)
        for one, other in zip(ours.args, theirs.args, strict=True):
            if isinstance(other, torch.Tensor):
                assert torch.equal(one, other)
            else:
                assert one is other
    assert on_disk([]) == []
