"""Finished work comes back bit for bit, or not at all."""

from pathlib import Path

import torch

from bitscape.passes import Rounded
from bitscape.passes.finished import read_finished, read_groups, write_finished, write_groups
from bitscape.quantizers import Grid


def test_what_was_written_is_read(tmp_path: Path) -> None:
    codes = torch.arange(6, dtype=torch.uint8).view(2, 3)
    grids = {"a.b": Grid(torch.ones(2, 1, 1), torch.ones(2, 1, 1)), "c": Grid(torch.rand(2, 1, 1))}
    path = tmp_path / "weights" / "block.safetensors"
    write_finished(
        path, {name: Rounded(codes.clone(), grid, {"x": 0.1}) for name, grid in grids.items()}
    )
    found = read_finished(path, "cpu")
    assert sorted(found) == ["a.b", "c"]
    for name, grid in grids.items():
        assert torch.equal(found[name].codes, codes)
        assert torch.equal(found[name].grid.scale, grid.scale)
        assert (found[name].grid.zero is None) == (grid.zero is None)
        assert found[name].report == {"x": 0.1}


def test_nothing_was_written(tmp_path: Path) -> None:
    assert read_finished(tmp_path / "block.safetensors", "cpu") == {}


def test_what_was_written_is_read_onto_another_device(tmp_path: Path) -> None:
    zero = torch.ones(2, 1, 1)
    codes, bias = torch.zeros(2, 3, dtype=torch.uint8), torch.ones(2)
    path = tmp_path / "block.safetensors"
    write_finished(path, {"a": Rounded(codes, Grid(torch.ones(2, 1, 1), zero), {}, bias)})
    found = read_finished(path, "meta")["a"]
    assert isinstance(found.grid, Grid)
    kept = (found.codes, found.grid.scale, found.grid.zero, found.bias)
    assert all(tensor is not None and tensor.is_meta for tensor in kept)
    write_groups(path, {"a": {"scale": torch.ones(2)}})
    assert read_groups(path, "meta")["a"]["scale"].is_meta
    assert torch.equal(read_groups(path, "cpu")["a"]["scale"], torch.ones(2))
