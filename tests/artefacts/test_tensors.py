import errno
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from bitscape.artefacts import tensors
from bitscape.artefacts.tensors import narrow, read_tensors, write_tensors


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    value = torch.arange(6.0).view(2, 3).T
    write_tensors({"a": value}, path)
    assert torch.equal(read_tensors(path)["a"], value)


@pytest.mark.parametrize("length", [0, 4, 60, -1])
def test_truncated_file_is_named(tmp_path: Path, length: int) -> None:
    path = tmp_path / "x.safetensors"
    write_tensors({"a": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match="x.safetensors is not a whole safetensors file"):
        read_tensors(path)


def test_full_disk_is_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(tensors, "save_file", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_tensors({"a": torch.zeros(1)}, tmp_path / "x.safetensors")
    assert caught.value.errno == errno.ENOSPC


def test_narrow_keeps_every_value() -> None:
    short = torch.randn(64, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    assert narrow(short.to(torch.float32)).dtype == torch.bfloat16
    long = torch.tensor([1.0, 1.0 + 2**-20])
    assert narrow(long) is long
    assert narrow(torch.tensor([0, 1])).dtype == torch.int64
