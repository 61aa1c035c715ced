"""Tensors on disk: equal to what was put there, and gone with their last view."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bitscape.files import Spill, SpilledList, spilled


def test_tensors_of_every_kind_come_back_in_order() -> None:
    tensors = (
        torch.randn(3, 5),
        torch.arange(6).view(2, 3).T,
        torch.empty(0, 4),
        torch.tensor(2.5),
        torch.tensor([True, False, True]),
        torch.randn(7).to(torch.bfloat16),
        torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
    )
    found = spilled(tensors)
    assert len(found) == len(tensors)
    for view, tensor in zip(found, tensors, strict=True):
        assert view.dtype == tensor.dtype
        assert torch.equal(view, tensor)
    assert spilled([]) == ()
    assert spilled([torch.empty(0)])[0].shape == (0,)


def test_each_tensor_is_written_before_the_next_is_made() -> None:
    scratch = torch.empty(4)

    def numbers() -> Iterator[Tensor]:
        for number in range(3):
            yield scratch.fill_(number)

    assert [float(view[0]) for view in spilled(numbers())] == [0, 1, 2]


def test_a_view_can_be_written_to_and_others_do_not_change() -> None:
    x = torch.zeros(100)
    first, second = spilled([x, x])
    first += 1
    assert float(first.sum()) == 100
    assert float(x.sum()) == float(second.sum()) == 0


def test_tensors_elsewhere_stay_there() -> None:
    far = torch.empty(3, device="meta")
    with Spill() as spill:
        spill.add(far)
        spill.add(torch.ones(2))
        found = spill.views()
    assert found[0] is far
    assert torch.equal(found[1], torch.ones(2))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the maps cannot be read")
def test_the_file_has_no_name_and_goes_with_its_last_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def mapped() -> bool:
        return str(tmp_path) in Path("/proc/self/maps").read_text()

    open_files = len(list(Path("/proc/self/fd").iterdir()))
    found = spilled([torch.ones(5000), torch.ones(3)])
    assert not list(tmp_path.iterdir())
    last = found[1]
    del found
    gc.collect()
    assert mapped()
    del last
    gc.collect()
    assert not mapped()
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_full_disk_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("wb", 0) as device:
        monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: device)
        with pytest.raises(OSError, match="is full: set TMPDIR to a folder with more room"):
            spilled([torch.ones(3)])


def test_a_list_keeps_its_order_and_only_its_end_in_memory() -> None:
    tensors = [torch.full((50,), float(number)) for number in range(11)]
    kept = SpilledList(room=3 * tensors[0].nbytes)
    for tensor in tensors:
        kept.append(tensor)
    assert len(kept) == len(tensors)
    assert all(torch.equal(a, b) for a, b in zip(kept, tensors, strict=True))
    in_memory = [any(found is tensor for tensor in tensors) for found in kept]
    assert in_memory == [False] * 8 + [True] * 3
    assert [float(part[0]) for part in kept[6:10:2]] == [6, 8]
    assert float(kept[-1][0]) == 10
    with pytest.raises(IndexError):
        kept[11]
