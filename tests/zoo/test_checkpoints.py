"""Weight files: bfloat16, whole, and named when they are damaged."""

from pathlib import Path

import pytest
import torch
from torch import nn

from bitscape.zoo.checkpoints import load_module, save_module


def test_weights_come_back_as_bfloat16_holds_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source, target = nn.Linear(5, 3), nn.Linear(5, 3)
    save_module(source, tmp_path / "new" / "x.safetensors")
    load_module(target, tmp_path / "new" / "x.safetensors")
    for ours, theirs in zip(target.parameters(), source.parameters(), strict=True):
        assert torch.equal(ours, theirs.bfloat16().float())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.safetensors"]


def test_damaged_and_missing_weights_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(FileNotFoundError, match=r"x\.safetensors"):
        load_module(nn.Linear(5, 3), path)
    save_module(nn.Linear(5, 3), path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"x\.safetensors is damaged"):
        load_module(nn.Linear(5, 3), path)
