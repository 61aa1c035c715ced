"""Finished work comes back bit for bit, or not at all."""

from pathlib import Path

import torch

from bitscape.passes import Rounded
from bitscape.passes.finished import read_finished, write_finished
from bitscape.quantizers import Grid


def test_what_was_written_is_read(tmp_path: Path) -> None:
    codes = torch.arange(6, dtype=torch.uint8).view(2, 3)
    grids = {"a.b": Grid(torch.ones(2, 1, 1), torch.ones(2, 1, 1)), "c": Grid(torch.rand(2, 1, 1))}
    path = tmp_path / "weights" / "block.safetensors"
    write_finished(
        path, {name: Rounded(codes.clone(), grid, {"x": 0.1}) for name, grid in grids.items()}
    )
    found = read_finished(path)
    assert sorted(found) == ["a.b", "c"]
    for name, grid in grids.items():
        assert torch.equal(found[name].codes, codes)
        assert torch.equal(found[name].grid.scale, grid.scale)
        assert (found[name].grid.zero is None) == (grid.zero is None)
        assert found[name].report == {"x": 0.1}


def test_nothing_was_written(tmp_path: Path) -> None:
    assert read_finished(tmp_path / "block.safetensors") == {}
