"""The state of a run is whole at any time."""

from pathlib import Path

import pytest
import torch
from torch import nn

from bitscape.training.average import MovingAverage
from bitscape.training.optimizers import adamw
from bitscape.training.ranks import Ranks
from bitscape.training.state import State


def test_a_state_that_could_not_be_written_leaves_the_last_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = nn.Linear(2, 2)
    state = State(
        tmp_path, Ranks(), module, MovingAverage(module, 0.9), adamw(module, 1e-2), step=1
    )
    state.save()
    kept = state.file.read_bytes()

    def torn(content: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", torn)
    state.step = 2
    with pytest.raises(OSError, match="No space"):
        state.save()
    assert state.file.read_bytes() == kept
    assert [path.name for path in tmp_path.iterdir()] == [state.file.name]
