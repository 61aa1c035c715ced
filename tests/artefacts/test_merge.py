"""Joining safetensors files."""

import json
from pathlib import Path

import pytest
import torch

from bitscape.artefacts import merge_tensors, write_tensors

DTYPES = (
    torch.float32,
    torch.bfloat16,
    torch.float16,
    torch.uint8,
    torch.int8,
    torch.int32,
    torch.int64,
    torch.bool,
)
TENSORS = {
    f"{name}.{dtype}": torch.arange(count).to(dtype)
    for dtype in DTYPES
    for name, count in (("b", 5), ("a", 3), ("c", 0))
}


@pytest.mark.parametrize("pieces", [1, 3])
def test_the_bytes_are_those_of_one_file(tmp_path: Path, pieces: int) -> None:
    write_tensors(TENSORS, tmp_path / "whole")
    parts = []
    for i in range(pieces):
        parts.append(tmp_path / str(i))
        write_tensors(dict(list(TENSORS.items())[i::pieces]), parts[-1])
    merge_tensors(parts, tmp_path / "merged")
    assert (tmp_path / "merged").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_type_of_no_artefact_is_refused(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "C64", "shape": [0], "data_offsets": [0, 0]}}).encode()
    (tmp_path / "m").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ValueError, match="C64, which is not written"):
        merge_tensors([tmp_path / "m"], tmp_path / "out")


def test_a_name_that_two_parts_hold_is_refused(tmp_path: Path) -> None:
    for part in ("a", "b"):
        write_tensors({"x": torch.zeros(1)}, tmp_path / part)
    with pytest.raises(ValueError, match=r"both hold x: write it to one part"):
        merge_tensors([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
