"""Tensors in whole files."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from bitscape.files import read_tensors, write_tensors


def test_tensors_come_back_whatever_order_their_numbers_lie_in(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.safetensors"
    tensors = {
        "turned": torch.arange(6.0).view(2, 3).T,
        "learnt": torch.ones(2, requires_grad=True),
        "short": torch.arange(4).to(torch.bfloat16),
    }
    write_tensors(path, tensors)
    found = read_tensors(path)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_metadata_stands_in_the_header(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"a": torch.zeros(1)}, {"site": "fc"})
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"site": "fc"}


@pytest.mark.parametrize("length", [0, 4, 60, -1])
def test_a_damaged_file_is_named(tmp_path: Path, length: int) -> None:
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"a": torch.zeros(100)})
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"x\.safetensors is damaged"):
        read_tensors(path)
