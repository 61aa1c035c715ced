"""The other commands: what they print, what they write, and what they refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from bitscape import api
from bitscape.models import FAMILIES
from bitscape.recipes import RECIPES, released

Command = Callable[..., Any]


def refused(answer: Any) -> str:
    """The one line of a command that was given bad input."""
    assert answer.code == 2, answer.err
    assert answer.err.strip().count("\n") == 0, answer.err
    line: str = answer.err
    return line


def test_models(bitscape: Command) -> None:
    found = {model["name"]: model for model in bitscape("models", "--json").json}
    assert found["zoo:var-xs"] == {
        "name": "zoo:var-xs",
        "family": "var",
        "style": "autoregressive",
        "params": found["zoo:var-xs"]["params"],
        "bundled": True,
        "checkpoint": None,
    }
    network = api.load("zoo:var-xs").pipeline.network
    assert found["zoo:var-xs"]["params"] == sum(p.numel() for p in network.parameters())
    assert found["var-d16"]["params"] == pytest.approx(310e6, rel=0.01)
    assert found["dit-XL-2"]["checkpoint"] == "required"
    assert "zoo:dit-xs" in bitscape("models").out


def test_recipes(bitscape: Command, tmp_path: Path) -> None:
    found = bitscape("recipes", "--json").json
    assert [recipe["name"] for recipe in found] == [*RECIPES, *released()]
    assert found[0].keys() == {"name", "method", "scheme", "families"}
    assert found[0]["families"] == list(FAMILIES)
    names = [line.split()[0] for line in bitscape("recipes").out.splitlines()[1:]]
    assert names == [*RECIPES, *released()]
    shown = bitscape("recipes", "show", "gptq-w4a16")
    path = tmp_path / "mine.yaml"
    path.write_text(shown.out)
    again = bitscape("recipes", "show", path, "--json")
    assert again.json == yaml.safe_load(shown.out)
    assert "gptq-w4a16" in refused(bitscape("recipes", "show", "gptq-w4a61"))
    method = bitscape("recipes", "show", "gptq", "--json").json
    assert method["card"].startswith("# gptq")
    assert "gptq-w4a16" in method["recipes"]


def test_inspect(artefact: Path, bitscape: Command) -> None:
    assert list(bitscape("inspect", artefact, "--json").json) == [
        "weight_bytes",
        "code_bytes",
        "scale_bytes",
        "nominal_weight_bits",
        "actual_weight_bits",
        "layers",
    ]
    assert "blocks.0.attn.qkv" in bitscape("inspect", artefact).out
    assert "config.json is missing" in refused(bitscape("inspect", artefact.parent))


def test_sample(artefact: Path, bitscape: Command, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    words = ("sample", artefact, "--classes", "3,1,4", "--seed", "5", "--kernel", "reference")
    answer = bitscape(*words, "--out", out, "--json")
    assert answer.json["classes"] == [3, 1, 4]
    with Image.open(out) as file:
        picture = np.asarray(file)
    images = api.load(artefact, kernel="none").sample([3, 1, 4], seed=5)
    # Enlarged three times, four pixels from the edge.
    assert np.array_equal(picture[4 : 4 + 96 : 3, 4 : 4 + 96 : 3], images[0])
    # People are told which artefact was drawn, not what it came from.
    told = bitscape("sample", artefact, "--classes", "3", "--out", out).out
    assert told == f"1 images of {artefact} in {out}\n"
    assert "class 10 is out of range" in refused(bitscape("sample", artefact, "--classes", "10"))
    assert "--classes" in refused(bitscape("sample", artefact, "--classes", "a,b"))
    assert "unknown kernel" in refused(bitscape("sample", artefact, "--kernel", "warp"))
    assert "no device 'warp': choose cpu, cuda" in refused(
        bitscape("sample", artefact, "--device", "warp")
    )


def test_compare(artefact: Path, bitscape: Command, tmp_path: Path) -> None:
    out = tmp_path / "c.png"
    found = bitscape("compare", "zoo:var-xs", artefact, "--out", out, "--count", 3, "--json").json
    assert found["n"] == 3
    assert 0 < found["token_agreement"] <= 1
    assert [image["class"] for image in found["images"]] == [0, 1, 2]
    with Image.open(out) as file:
        assert file.width == 4 + 3 * 100
    same = bitscape("compare", artefact, artefact, "--out", out, "--count", 1, "--json").json
    assert (same["psnr"], same["ssim"], same["token_agreement"]) == (None, 1.0, 1.0)
    other = bitscape("compare", "zoo:dit-xs", artefact, "--out", out)
    assert "one family" in refused(other)


def test_evaluate_is_resumable_and_keeps_its_result(
    artefact: Path, bitscape: Command, tmp_path: Path
) -> None:
    words = ("evaluate", artefact, "--n", 4, "--seeds", 1, "--losses", 4, "--paths", 2, "--json")
    out = tmp_path / "m.json"
    answer = bitscape(*words, "--out", out)
    assert answer.code == 0, answer.err
    assert json.loads(out.read_text()) == answer.json
    assert answer.json["n"] == 4
    assert answer.json["full_precision"]["model"] == "zoo:var-xs"
    assert set(answer.json) >= {
        "protocol",
        "seeds",
        "fd_shapes",
        "fd_latent",
        "class_accuracy",
        "nll",
        "token_agreement",
        "kl",
        "psnr",
        "ssim",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]
    assert "already exists" in refused(bitscape(*words, "--out", out))
    estimate = bitscape(*words, "--dry-run").json
    assert set(estimate) == {"seconds", "memory_bytes", "disk_bytes"}


def test_bench(artefact: Path, bitscape: Command, tmp_path: Path) -> None:
    out = tmp_path / "b.json"
    words = ("bench", artefact, "--batch", "1", "--seconds", "0.1", "--out", out, "--json")
    found = bitscape(*words).json
    assert json.loads(out.read_text()) == found
    assert set(found) == {"machine", "model", "parameters", "rows"}
    assert found["parameters"] > 0
    assert [row["backend"] for row in found["rows"][-2:]] == ["fp32", "bf16"]
    assert found["rows"][0]["scheme"] == "W4A16"
    assert set(found["rows"][0]) == {
        "backend",
        "scheme",
        "batch",
        "latency_ms",
        "images_per_s",
        "weight_bytes_resident",
        "peak_rss_bytes",
    }
    assert set(found["rows"][0]["latency_ms"]) == {"median", "p10", "p90"}
    fewest, _, most = sorted(row["weight_bytes_resident"] for row in found["rows"])
    assert fewest < most / 3
    assert "fp16" in refused(bitscape("bench", artefact, "--against", "fp16"))


def test_plan_within_a_model_prints_the_command_that_makes_it(
    bitscape: Command, tmp_path: Path
) -> None:
    recipe = tmp_path / "quick.yaml"
    options, calibration = {"base": "rtn", "bits": [4, 8]}, {"samples": 2, "batch": 2}
    content = {"name": "quick", "method": "mixed", "scheme": "W4A16", "options": options}
    recipe.write_text(yaml.safe_dump(content | {"calibration": calibration}))
    words = ("plan", "zoo:var-xs", "--recipe", recipe, "--memory", "80kB", "--json")
    found = bitscape(*words).json
    assert found["memory_bytes"] <= 80e3
    assert found["command"].split()[:3] == ["bitscape", "quantize", "zoo:var-xs"]
    assert found["option"] in found["command"]


def test_sweep(bitscape: Command, tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    content = {
        "models": ["zoo:var-xs"],
        "recipes": ["rtn-w4a16", "rtn-w4a16-g64"],
        "evaluations": [{"n": 4, "seeds": [0], "losses": 4, "paths": 2}],
    }
    grid.write_text(yaml.safe_dump(content))
    out = tmp_path / "runs"
    words = ("sweep", grid, "--out", out, "--workers", 1, "--json")
    estimate = bitscape(*words, "--dry-run").json
    assert estimate["cells"] == 2
    answer = bitscape(*words)
    # Groups of 64 do not divide a width of 32: that cell is a record with its reason.
    assert answer.code == 1
    assert [run["status"] for run in answer.json] == ["done", "failed"]
    assert "64" in answer.json[1]["reason"]
    assert len((out / "runs.jsonl").read_text().splitlines()) == 2
    assert bitscape(*words).json == answer.json
    assert "does not exist" in refused(bitscape("sweep", tmp_path / "no.yaml", "--out", out))


def test_edited_artefact_is_refused_everywhere(
    artefact: Path, bitscape: Command, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    api.load(artefact).save(copy)
    path = copy / "recipe.yaml"
    path.write_text(path.read_text() + "# better\n")
    for command in ("sample", "inspect", "evaluate"):
        assert "does not match the sha256" in refused(bitscape(command, copy))


def test_zoo_train_knows_its_stages(bitscape: Command) -> None:
    assert "var-xs" in refused(bitscape("zoo", "train", "var-xxl"))
