"""Files that others wrote: read a tensor at a time, refused in one line when they cannot be."""

import argparse
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bitscape.artefacts import match, open_foreign, without_weights
from bitscape.models.checkpoint import Layout, Source

TENSORS = {"a.weight": torch.randn(3, 2), "a.bias": torch.arange(3.0)}


class Secret:
    """A class that a checkpoint has no business to name."""


def read(path: Path, place: str = "") -> dict[str, Tensor]:
    return {key: stored.read() for key, stored in open_foreign(path).parts[place].items()}


def assert_same(found: dict[str, Tensor]) -> None:
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[key], TENSORS[key]) for key in TENSORS)


def test_one_safetensors_file(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "m.safetensors")
    assert_same(read(tmp_path / "m.safetensors"))
    assert_same(read(tmp_path))
    stored = open_foreign(tmp_path / "m.safetensors").parts[""]["a.weight"]
    assert (stored.shape, stored.dtype) == ((3, 2), torch.float32)


def test_shards_behind_an_index(tmp_path: Path) -> None:
    places = {key: f"m-0000{i}-of-00002.safetensors" for i, key in enumerate(TENSORS, start=1)}
    for key, name in places.items():
        save_file({key: TENSORS[key]}, tmp_path / name)
    index = tmp_path / "m.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert_same(read(index))
    assert_same(read(tmp_path))
    (tmp_path / places["a.bias"]).unlink()
    with pytest.raises(FileNotFoundError, match="shard .* does not exist"):
        open_foreign(index)


def test_dictionaries_of_dictionaries_are_parts(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    content = {"ema": TENSORS, "trainer": {"net": TENSORS, "step": 3}, "args": argparse.Namespace()}
    torch.save(content, path)
    assert list(open_foreign(path).parts) == ["ema", "trainer.net"]
    assert_same(read(path, "ema"))
    assert_same(read(path, "trainer.net"))


def test_a_diffusers_folder_has_a_part_for_each_of_its_folders(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{}")
    for name in ("transformer", "vae", "scheduler"):
        (tmp_path / name).mkdir()
        if name != "scheduler":
            save_file(TENSORS, tmp_path / name / "diffusion_pytorch_model.safetensors")
    save_file({"b": torch.ones(1)}, tmp_path / "vae" / "diffusion_pytorch_model.fp16.safetensors")
    file = open_foreign(tmp_path)
    assert (file.format, list(file.parts), len(file.files)) == (
        "diffusers",
        ["transformer", "vae", "pipeline"],
        2,
    )
    assert_same(read(tmp_path, "vae"))
    whole = file.parts["pipeline"]
    assert list(whole) == [f"{p}.{key}" for p in ("transformer", "vae") for key in file.parts[p]]


def truncated_safetensors(path: Path) -> None:
    save_file(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-4])


def truncated_zip(path: Path) -> None:
    torch.save(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-100])


def old_torch(path: Path) -> None:
    torch.save(TENSORS, path, _use_new_zipfile_serialization=False)


def foreign_pickle(path: Path) -> None:
    torch.save({"model": TENSORS, "secret": Secret()}, path)


def text(path: Path) -> None:
    path.write_text("<html>not found</html>")


def no_tensors(path: Path) -> None:
    torch.save({"step": 3}, path)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("m.safetensors", truncated_safetensors, "not a whole safetensors file"),
        ("m.pt", truncated_zip, "is truncated"),
        ("m.ckpt", old_torch, "before 1.6.* convert it once"),
        ("m.pth", foreign_pickle, "Secret, which is not executed"),
        ("m.pt", text, "neither safetensors nor a torch file"),
        ("m.pt", no_tensors, "holds no dictionary of tensors"),
        ("m.safetensors.index.json", text, "not an index of shards"),
        ("m.pt", lambda path: None, "does not exist"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, name: str, write, message) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path / name)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as found:
        open_foreign(tmp_path / name)
    assert "\n" not in str(found.value)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no weights"):
        open_foreign(tmp_path)


LAYOUTS = (
    Layout("ema", lambda module: {"weight": Source(("w",)), "bias": Source(("b",))}, ("ema",)),
    Layout(
        "split",
        lambda module: {
            "weight": Source(("top", "low"), lambda *rows: torch.cat(rows)),
            "bias": Source(("b",)),
        },
        ignored=lambda key: key == "old",
    ),
)


def linear(path: Path, tensors: object) -> nn.Linear:
    torch.save(tensors, path)
    with without_weights():
        module = nn.Linear(2, 3)
    assert module.weight.is_meta
    match(module, LAYOUTS, open_foreign(path), "the test").fill(module)
    return module


W, B = TENSORS["a.weight"], TENSORS["a.bias"]


@pytest.mark.parametrize(
    "tensors",
    [
        {"ema": {"w": W, "b": B}, "model": {"w": W + 1, "b": B}},
        {"w": W, "b": B},
        {"top": W[:1], "low": W[1:], "b": B.bfloat16(), "old": B},
        {"weight": W, "bias": B},
    ],
    ids=["nested", "flat", "joined", "our own names"],
)
def test_a_layout_is_found_by_its_keys(tmp_path: Path, tensors: object) -> None:
    module = linear(tmp_path / "m.pt", tensors)
    assert torch.equal(module.weight, W)
    assert torch.equal(module.bias, B)
    assert not module.weight.requires_grad


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"top": W[:1], "b": B}, r"nearest layout: split\): low missing"),
        ({"w": W, "b": B, "c": B}, r"nearest layout: ema\): c not used"),
        ({"w": W.T.contiguous(), "b": B}, r"w has shape \(2, 3\) where \(3, 2\) is needed"),
        ({"other": {"w": W}}, "has no part for the test: it holds other"),
    ],
    ids=["missing", "unused", "shape", "place"],
)
def test_what_does_not_fit_is_named(tmp_path: Path, tensors: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as found:
        linear(tmp_path / "m.pt", tensors)
    assert "\n" not in str(found.value)


def test_filled_weights_do_not_alias_the_file(tmp_path: Path) -> None:
    module = linear(tmp_path / "m.pt", {"w": W, "b": B})
    with torch.no_grad():
        module.weight.zero_()
    assert torch.equal(read(tmp_path / "m.pt")["w"], W)


def test_buffers_are_built_and_not_read() -> None:
    with without_weights():
        norm = nn.BatchNorm1d(3)
    assert norm.weight.is_meta
    assert torch.equal(norm.running_var, torch.ones(3))
    assert not nn.Linear(1, 1).weight.is_meta
