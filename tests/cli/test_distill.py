"""`bitscape distill`: an artefact with its curves, the same as `quantize` makes of the recipe."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bitscape import api

Command = Callable[..., Any]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A few steps from round to nearest."""
    path = tmp_path / "few.yaml"
    path.write_text(
        "name: few\nmethod: topkld\nscheme: W3A16\n"
        "options: {start: rtn, steps: 3, batch: 4}\n"
        "calibration: {samples: 8, batch: 4}\n"
    )
    return path


def refused(answer: Any) -> str:
    """The one line of a command that was given bad input."""
    assert answer.code == 2, answer.err
    line: str = answer.err
    return line


def test_an_artefact_with_its_curves(recipe: Path, bitscape: Command, tmp_path: Path) -> None:
    out, same = tmp_path / "out", tmp_path / "same"
    words = ("distill", "zoo:var-xs", "--recipe", recipe, "--out", out)
    assert bitscape(*words, "--dry-run", "--json").json["seconds"] > 0
    answer = bitscape(*words, "--json")
    assert answer.code == 0, answer.err
    lines = [json.loads(line) for line in (out / "training.jsonl").read_text().splitlines()]
    *log, summary = lines
    assert [record["step"] for record in log] == [1, 2, 3]
    assert answer.json["last"] == log[-1]
    assert summary["steps"] == answer.json["steps"]
    assert 1e8 < summary["peak_memory_bytes"] <= answer.json["peak_memory_bytes"]
    assert log[0].keys() == {"step", "loss", "distance", "agreement"}
    with Image.open(out / "training.png") as picture:
        assert picture.width > picture.height
    assert api.load(out).sample(1).shape == (1, 32, 32, 3)
    # What trains is a recipe like any other.
    assert bitscape("quantize", "zoo:var-xs", "--recipe", recipe, "--out", same).code == 0
    name = "model.safetensors"
    assert (same / name).read_bytes() == (out / name).read_bytes()


def test_options_replace_those_of_the_recipe(
    recipe: Path, bitscape: Command, tmp_path: Path
) -> None:
    words = ("distill", "zoo:dit-xs", "--recipe", recipe, "--out", tmp_path / "out")
    changes = ("--data", "shapes", "--steps", 2, "--loss", "data", "--learning-rate", 1e-4)
    changes += ("--option", "batch=2")
    answer = bitscape(*words, *changes, "--minutes", 10, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["steps"] == 2
    kept = api.load(tmp_path / "out").recipe
    assert kept is not None
    assert kept["data"] == "shapes"
    assert kept["options"]["rate"] == 1e-4
    assert kept["options"]["batch"] == 2


def test_what_cannot_be_done_is_refused(recipe: Path, bitscape: Command, tmp_path: Path) -> None:
    words = ("distill", "zoo:var-xs", "--out", tmp_path / "out", "--recipe")
    assert "topkld-w3a16" in refused(bitscape(*words, "gptq-w3a16"))
    assert "is no folder" in refused(bitscape(*words, recipe, "--data", tmp_path / "none"))
    assert "one of rtn" in refused(bitscape(*words, recipe, "--init", "topkld"))
    assert "unknown loss" in refused(bitscape(*words, recipe, "--loss", "kl"))
    assert "diverges" in refused(bitscape(*words, recipe, "--learning-rate", 50, "--steps", 30))
    assert not (tmp_path / "out").exists()
