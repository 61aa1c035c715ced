"""Released checkpoints through the interface: found by their keys, read when they are needed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import bitscape
from bitscape import api, artefacts
from bitscape.cli import main
from bitscape.models import FAMILIES
from bitscape.structure import Pipeline

NAMES = ("var-tiny", "dit-tiny")


@pytest.fixture(autouse=True)
def tiny_sizes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each family has one more released size, small enough to be made up."""
    for name in ("var", "dit"):
        family = FAMILIES[name]
        small = replace(
            family,
            sizes={"tiny": family.tiny_config},
            tokenizer=family.tiny_tokenizer,
            # DiT's tiny tokenizer is the zoo's, which is published under our names alone.
            tokenizer_layouts=() if name == "dit" else family.tokenizer_layouts,
        )
        monkeypatch.setitem(FAMILIES, name, small)  # type: ignore[arg-type]
    for name in FAMILIES.keys() - {"var", "dit"}:
        # Emptied in place: a name taken out would come back at the end of the registry.
        monkeypatch.setitem(FAMILIES, name, replace(FAMILIES[name], sizes={}))  # type: ignore[arg-type]
    yield


def pipeline(name: str) -> Pipeline:
    return FAMILIES[name.partition("-")[0]].tiny()


def own_names(pipeline: Pipeline, folder: Path) -> tuple[Path, Path]:
    """Both modules under our names of the weights."""
    paths = folder / "network.safetensors", folder / "tokenizer.safetensors"
    for module, path in zip((pipeline.network, pipeline.tokenizer), paths, strict=True):
        save_file({k: v.contiguous() for k, v in module.state_dict().items()}, path)
    return paths


def official_dit(pipeline: Pipeline) -> dict[str, Tensor]:
    """The network as the official training script saves it."""
    [layout] = [one for one in FAMILIES["dit"].layouts if one.name == "DiT"]
    state = pipeline.network.state_dict()
    keys = layout.keys(pipeline.network)
    return {source.keys[0]: state[name] for name, source in keys.items()}


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_read_when_they_are_needed(name: str, tmp_path: Path) -> None:
    expected = pipeline(name)
    checkpoint, tokenizer = own_names(expected, tmp_path)
    model = bitscape.load(name, checkpoint=checkpoint, tokenizer=tokenizer)
    assert model.pending is not None
    assert model.name == name
    assert model.device == torch.device("cpu")
    assert all(tensor.is_meta for tensor in model.outline.network.parameters())
    assert np.array_equal(model.sample([1, 2], seed=3), expected.sample([1, 2], seed=3))
    assert model.pending is None


@pytest.mark.parametrize("name", NAMES)
def test_quantizing_reads_its_own_copy(name: str, tmp_path: Path) -> None:
    checkpoint, tokenizer = own_names(pipeline(name), tmp_path)
    model = bitscape.load(name, checkpoint=checkpoint, tokenizer=tokenizer)
    small = bitscape.quantize(model, "rtn-w4a16", out=tmp_path / "a")
    assert model.pending is not None
    assert model.pipeline.network is not small.pipeline.network
    again = bitscape.quantize(model, "rtn-w4a16")
    assert model.pending is None
    assert np.array_equal(again.sample(2), small.sample(2))


def test_an_official_checkpoint_prefers_its_average(tmp_path: Path) -> None:
    expected = pipeline("dit-tiny")
    average = official_dit(expected)
    raw = {key: tensor + 1 for key, tensor in average.items()}
    computed = {"pos_embed": torch.zeros(1, 16, 16)}
    content = {"model": raw, "ema": average | computed, "opt": {"state": {}}}
    torch.save(content, tmp_path / "0400000.pt")
    _, tokenizer = own_names(expected, tmp_path)
    model = bitscape.load("dit-tiny", checkpoint=tmp_path / "0400000.pt", tokenizer=tokenizer)
    assert np.array_equal(model.sample([3]), expected.sample([3]))


@pytest.mark.parametrize("name", NAMES)
def test_dtype_is_that_of_the_network(name: str, tmp_path: Path) -> None:
    checkpoint, tokenizer = own_names(pipeline(name), tmp_path)
    model = bitscape.load(name, checkpoint=checkpoint, tokenizer=tokenizer, dtype="bfloat16")
    assert model.sample([1, 2]).shape == (2, 16, 16, 3)
    assert {p.dtype for p in model.pipeline.network.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in model.pipeline.tokenizer.parameters()} == {torch.float32}
    assert len(model.sample(2)) == 2


def watched_reads(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The names of the tensors that each read of a checkpoint will have asked for."""
    held: list[set[str]] = []
    fill = artefacts.Weights.fill

    def watched(self, module, names=None, **rest) -> None:  # type: ignore[no-untyped-def]
        held.append(set(self.keys if names is None else names))
        fill(self, module, names, **rest)

    monkeypatch.setattr(artefacts.Weights, "fill", watched)
    return held


@pytest.mark.parametrize("dtype", [None, "bfloat16"], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("recipe", ["rtn-w4a16", "rtn-w8a8", "rtn-w8a8/attend=w16a8"])
@pytest.mark.parametrize("name", NAMES)
def test_streaming_writes_the_same_bytes(
    name: str, recipe: str, dtype: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, tokenizer = own_names(pipeline(name), tmp_path)
    model = bitscape.load(name, checkpoint=checkpoint, tokenizer=tokenizer, dtype=dtype)
    held = watched_reads(monkeypatch)
    bitscape.quantize(model, recipe, out=tmp_path / "streamed")
    assert model.pending is not None
    # What is outside the blocks, each of the two blocks, and the tokenizer.
    rest, *blocks, _ = held
    assert not any(key.startswith("blocks.") for key in rest)
    assert [{".".join(key.split(".")[:2]) for key in block} for block in blocks] == [
        {"blocks.0"},
        {"blocks.1"},
    ]
    bitscape.quantize(model, recipe).save(tmp_path / "whole")
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "streamed" / path.name).read_bytes(), path.name


class Killed(BaseException):
    """What a kill does to the flow of control: no handler for errors runs."""


def killed_after(units: int, model: api.Model, recipe: str, out: Path) -> None:
    """Quantize until `units` of the stream are finished."""

    def progress(stage: str, done: int, total: int) -> None:
        if done == units:
            raise Killed

    with pytest.raises(Killed):
        bitscape.quantize(model, recipe, out=out, progress=progress)
    assert not out.exists()


@pytest.mark.parametrize(("recipe", "units"), [("rtn-w8a8", 1), ("rtn-w4a16", 3)])
def test_a_killed_stream_goes_on_with_the_next_block(
    recipe: str, units: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, tokenizer = own_names(pipeline("dit-tiny"), tmp_path)
    model = bitscape.load("dit-tiny", checkpoint=checkpoint, tokenizer=tokenizer)
    killed_after(units, model, recipe, tmp_path / "killed")
    held = watched_reads(monkeypatch)
    bitscape.quantize(model, recipe, out=tmp_path / "killed")
    # Of what is outside the blocks, two blocks and the tokenizer, the rest is read.
    assert len(held) == 4 - units
    bitscape.quantize(model, recipe, out=tmp_path / "whole")
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "killed" / path.name).read_bytes(), path.name
    assert not artefacts.partial_path(tmp_path / "killed").exists()


@pytest.mark.parametrize("other", ["recipe", "checkpoint"])
def test_blocks_of_another_stream_are_neither_used_nor_lost(other: str, tmp_path: Path) -> None:
    checkpoint, tokenizer = own_names(pipeline("dit-tiny"), tmp_path)
    model = bitscape.load("dit-tiny", checkpoint=checkpoint, tokenizer=tokenizer)
    killed_after(2, model, "rtn-w4a16", tmp_path / "out")
    recipe = "rtn-w3a16" if other == "recipe" else "rtn-w4a16"
    if other == "checkpoint":
        # Written over, under the same name.
        changed, _ = own_names(FAMILIES["dit"].tiny(seed=1), tmp_path)
        model = bitscape.load("dit-tiny", checkpoint=changed, tokenizer=tokenizer)
    kept = artefacts.partial_path(tmp_path / "out") / "work"
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    with pytest.raises(ValueError, match="holds unfinished work of another job"):
        bitscape.quantize(model, recipe, out=tmp_path / "out")
    assert before == {path.name: path.read_bytes() for path in kept.iterdir()}


def test_a_damaged_block_stops_the_stream(tmp_path: Path) -> None:
    broken = pipeline("dit-tiny")
    with torch.no_grad():
        broken.network.get_parameter("blocks.1.attn.qkv.bias")[0] = torch.inf
    checkpoint, tokenizer = own_names(broken, tmp_path)
    model = bitscape.load("dit-tiny", checkpoint=checkpoint, tokenizer=tokenizer)
    with pytest.raises(ValueError, match=r"1 values in blocks\.1\.attn\.qkv\.bias that are NaN"):
        bitscape.quantize(model, "rtn-w4a16", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_not_given_is_named(tmp_path: Path) -> None:
    checkpoint, tokenizer = own_names(pipeline("var-tiny"), tmp_path)
    with pytest.raises(ValueError, match="give its weights with --checkpoint"):
        bitscape.load("var-tiny")
    with pytest.raises(ValueError, match="also needs its tokenizer"):
        bitscape.load("var-tiny", checkpoint=checkpoint)
    with pytest.raises(ValueError, match="is not var-tiny .*missing"):
        bitscape.load("var-tiny", checkpoint=tokenizer, tokenizer=tokenizer)
    with pytest.raises(ValueError, match="is not the tokenizer of var-tiny"):
        bitscape.load("var-tiny", checkpoint=checkpoint, tokenizer=checkpoint)
    with pytest.raises(ValueError, match="is not dit-tiny"):
        bitscape.load("dit-tiny", checkpoint=checkpoint, tokenizer=tokenizer)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    broken = pipeline("var-tiny")
    with torch.no_grad():
        broken.network.get_parameter("head.weight")[0, 0] = torch.nan
    checkpoint, tokenizer = own_names(broken, tmp_path)
    model = bitscape.load("var-tiny", checkpoint=checkpoint, tokenizer=tokenizer)
    with pytest.raises(ValueError, match=r"1 values in head\.weight that are NaN"):
        bitscape.quantize(model, "rtn-w4a16")


def test_the_doctor_names_family_size_and_layout(tmp_path: Path) -> None:
    torch.save({"ema": official_dit(pipeline("dit-tiny"))}, tmp_path / "m.pt")
    found = api.doctor(tmp_path / "m.pt")
    assert found["format"] == "torch"
    [network] = found["found"]
    assert network["family"] == "dit" and network["sizes"] == ("tiny",)
    assert (network["kind"], network["layout"], network["part"]) == ("network", "DiT", "ema")
    assert network["dtype"] == "float32"
    assert network["parameters"] == sum(
        p.numel() for p in pipeline("dit-tiny").network.parameters()
    )


def test_the_doctor_refuses_what_would_not_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file({"conv.weight": torch.ones(2)}, tmp_path / "m.safetensors")
    assert main(["doctor", str(tmp_path / "m.safetensors")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    names = ", ".join(FAMILIES)
    assert f"fits no size of {names}: it holds 1 tensors (conv.weight, ...)" in said
    assert main(["doctor", str(tmp_path / "none.pt")]) == 2
