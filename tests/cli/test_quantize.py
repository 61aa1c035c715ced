"""`bitscape quantize`: resumable to the last byte, and nothing lost by a mistake."""

import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from bitscape import api, artefacts
from bitscape.artefacts import partial_path, tensors

Command = Callable[..., Any]
Start = Callable[..., "subprocess.Popen[str]"]


class Killed(BaseException):
    """What a kill does to the flow of control: no handler for errors runs."""


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(answer: Any) -> str:
    """The one line of a command that was given bad input."""
    assert answer.code == 2, answer.err
    assert answer.out == ""
    assert answer.err.strip().count("\n") == 0, answer.err
    line: str = answer.err
    return line


def test_result_is_small_and_complete(bitscape: Command, tmp_path: Path) -> None:
    out = tmp_path / "d"
    answer = bitscape("quantize", "zoo:dit-xs", "--recipe", "rtn-w4a16", "--out", out, "--json")
    assert answer.code == 0, answer.err
    assert sorted(path.name for path in out.iterdir()) == [
        "config.json",
        "model.safetensors",
        "recipe.yaml",
        "report.json",
        "tokenizer.safetensors",
    ]
    found = bitscape("inspect", out, "--json").json
    assert {key: answer.json[key] for key in found if key != "layers"} == {
        key: value for key, value in found.items() if key != "layers"
    }
    bits = found["nominal_weight_bits"] + 8 * found["scale_bytes"]
    assert found["weight_bytes"] <= 1.03 * bits / 8
    assert not partial_path(out).exists()


@pytest.mark.parametrize("recipe", ["gptq-w4a16", "rtn-w8a8-static"])
def test_interrupted_anywhere_it_ends_in_the_same_bytes(
    recipe: str, bitscape: Command, tmp_path: Path
) -> None:
    model = api.load("zoo:var-xs")
    whole, out = tmp_path / "whole", tmp_path / "out"
    told: list[str] = []
    api.quantize(model, recipe, out=whole, seed=3, progress=lambda stage, *_: told.append(stage))

    # A different moment each time: the first report, then ever later ones of what is left.
    for moment in range(1, len(told), max(1, len(told) // 4)):
        count = iter(range(moment))

        def progress(stage: str, done: int, total: int, count: Any = count) -> None:
            if next(count, None) is None:
                raise Killed

        try:
            api.quantize(model, recipe, out=out, seed=3, progress=progress)
        except Killed:
            assert not out.exists()
        else:
            break
    else:
        api.quantize(model, recipe, out=out, seed=3)
    assert contents(out) == contents(whole)
    assert not partial_path(out).exists()


def test_killed_process_continues(process: Start, tmp_path: Path) -> None:
    words = ("quantize", "zoo:var-xs", "--recipe", "gptq-w4a16", "--seed", "1", "--out")
    whole, out = tmp_path / "whole", tmp_path / "out"
    undisturbed = process(*words, whole)
    victim = process(*words, out)
    deadline = time.monotonic() + 120
    while not (partial_path(out) / "work" / "calibration").exists():
        assert time.monotonic() < deadline and victim.poll() is None
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert not out.exists()
    again = process(*words, out)
    for child in (undisturbed, again):
        _, error = child.communicate(timeout=120)
        assert child.returncode == 0, error
    assert contents(out) == contents(whole)
    assert not partial_path(out).exists()


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """Where an artefact was to stand; a kill has left its calibration in the folder beside it."""

    def stop(stage: str, done: int, total: int) -> None:
        if stage != "recording calibration":
            raise Killed

    with pytest.raises(Killed):
        api.quantize(api.load("zoo:var-xs"), "gptq-w4a16", out=tmp_path / "out", progress=stop)
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--recipe", "rtn-w3a16"), "holds unfinished work of another job"),
        (("--recipe", "rtn-w4a16@g48"), "groups of 48 do not divide"),
        (("--recipe", "gptq-w4a16", "--seed", "7"), "holds unfinished work of another job"),
        (("--recipe", "rtn-w4a16/haed=w8a8"), "unknown role 'haed'"),
    ],
)
def test_another_command_leaves_unfinished_work_alone(
    words: tuple[str, ...], reason: str, bitscape: Command, interrupted: Path
) -> None:
    kept = partial_path(interrupted)
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    assert any("calibration" in path.parts for path in before)
    assert reason in refused(bitscape("quantize", "zoo:var-xs", *words, "--out", interrupted))
    assert before == {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}


@pytest.mark.parametrize("recipe", ["rtn-w4a16@g48", "rtn-w4a16/haed=w8a8"])
def test_a_refused_command_leaves_nothing(recipe: str, bitscape: Command, tmp_path: Path) -> None:
    refused(bitscape("quantize", "zoo:var-xs", "--recipe", recipe, "--out", tmp_path / "d"))
    assert list(tmp_path.iterdir()) == []


def test_existing_out_is_kept(bitscape: Command, tmp_path: Path) -> None:
    out = tmp_path / "d"
    out.mkdir()
    (out / "thesis.tex").write_text("x")
    answer = bitscape("quantize", "zoo:var-xs", "--recipe", "rtn-w4a16", "--out", out)
    assert "already exists" in refused(answer)
    assert contents(out) == {"thesis.tex": b"x"}


def test_unknown_names_come_with_the_nearest(bitscape: Command, tmp_path: Path) -> None:
    out = tmp_path / "d"
    line = refused(bitscape("quantize", "zoo:var-xz", "--recipe", "rtn-w4a16", "--out", out))
    assert "zoo:var-xs" in line
    line = refused(bitscape("quantize", "zoo:var-xs", "--recipe", "gptq-w4a61", "--out", out))
    assert "gptq-w4a16" in line
    line = refused(bitscape("quantize", "var-d16", "--recipe", "rtn-w4a16", "--out", out))
    assert "--checkpoint" in line
    assert list(tmp_path.iterdir()) == []


def test_damaged_checkpoint(bitscape: Command, tmp_path: Path) -> None:
    state = dict(api.load("zoo:var-xs").pipeline.network.state_dict())
    words = ("quantize", "zoo:var-xs", "--recipe", "rtn-w4a16", "--out", tmp_path / "d")
    path = tmp_path / "x.safetensors"

    artefacts.write_tensors(state, path)
    path.write_bytes(path.read_bytes()[:-100])
    assert "not a whole safetensors file" in refused(bitscape(*words, "--checkpoint", path))

    state["blocks.0.mlp.fc1.weight"] = state["blocks.0.mlp.fc1.weight"].clone()
    state["blocks.0.mlp.fc1.weight"][0, 0] = torch.nan
    artefacts.write_tensors(state, path)
    line = refused(bitscape(*words, "--checkpoint", path))
    assert "blocks.0.mlp.fc1.weight" in line
    assert "NaN" in line

    del state["blocks.0.mlp.fc1.weight"]
    artefacts.write_tensors(state, path)
    assert "blocks.0.mlp.fc1.weight" in refused(bitscape(*words, "--checkpoint", path))
    missing = tmp_path / "none.safetensors"
    assert "does not exist" in refused(bitscape(*words, "--checkpoint", missing))


def test_group_that_does_not_divide(bitscape: Command, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: odd\nmethod: rtn\nscheme: W4A16@g48\n")
    line = refused(bitscape("quantize", "zoo:var-xs", "--recipe", recipe, "--out", tmp_path / "d"))
    assert "48" in line
    assert "32" in line


@pytest.mark.parametrize("failure", ["safetensors", "system"])
def test_full_disk_loses_nothing(
    failure: str, bitscape: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "d"
    words = ("quantize", "zoo:var-xs", "--recipe", "rtn-w4a16", "--out", out)

    def full(*_: object, **__: object) -> None:
        if failure == "system":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "d/model.safetensors")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patched:
        patched.setattr(tensors, "save_file", full)
        assert "no space left on the disk" in refused(bitscape(*words))
    assert not out.exists()
    assert not (partial_path(out) / "artefact").exists()
    assert bitscape(*words).code == 0
    artefacts.inspect(out)


def test_a_quantized_model_is_not_quantized_again(
    artefact: Path, bitscape: Command, tmp_path: Path
) -> None:
    line = refused(bitscape("quantize", artefact, "--recipe", "rtn-w8a8", "--out", tmp_path / "d"))
    assert "already quantized" in line


def test_dry_run_estimates_and_writes_nothing(bitscape: Command, tmp_path: Path) -> None:
    words = ("quantize", "zoo:var-xs", "--recipe", "gptq-w4a16", "--out", tmp_path / "d")
    found = bitscape(*words, "--dry-run", "--json").json
    assert set(found) == {"seconds", "memory_bytes", "disk_bytes"}
    assert all(value > 0 for value in found.values())
    assert list(tmp_path.iterdir()) == []
