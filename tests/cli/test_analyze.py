"""`bitscape analyze`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

Command = Callable[..., Any]
PICTURES = {"steps", "layers", "first-bad", "tolerance", "accumulation", "activations"}


def test_analyze_writes_numbers_pictures_and_sentences(bitscape: Command, tmp_path: Path) -> None:
    out = tmp_path / "why"
    words = ("analyze", "zoo:var-xs", "--recipe", "rtn-w3a16", "--count", 2, "--out", out)
    answer = bitscape(*words)
    assert answer.code == 0, answer.err
    found = json.loads((out / "analysis.json").read_text())
    assert {path.stem for path in out.glob("*.png")} == PICTURES
    for path in out.glob("*.png"):
        with Image.open(path) as picture:
            assert picture.width > 1000
    assert found["recipe"] == "rtn-w3a16"
    for study in found["studies"].values():
        assert study["summary"] in answer.out
    assert not out.with_name("why.partial").exists()
    assert bitscape(*words).code == 2


def test_full_precision_alone_has_the_studies_of_noise(
    bitscape: Command, artefact: Path, tmp_path: Path
) -> None:
    out = tmp_path / "why"
    answer = bitscape("analyze", "zoo:dit-xs", "--count", 2, "--out", out, "--json")
    assert set(answer.json["studies"]) == {"tolerance", "accumulation", "activations"}
    refused = bitscape("analyze", artefact, "--recipe", "rtn-w4a16", "--out", tmp_path / "no")
    assert refused.code == 2
    assert "quantized already" in refused.err
