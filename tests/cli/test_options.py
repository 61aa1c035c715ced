"""Options that commands share: what to draw, and whom released weights are for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitscape import api
from bitscape.cli import options
from bitscape.cli.weights import Weights
from bitscape.models import FAMILIES

Command = Callable[..., Any]


def test_what_to_draw_is_said_once() -> None:
    assert options.conditions(None, None, None) == 16
    assert options.conditions(None, None, None, otherwise=10) == 10
    assert options.conditions(None, None, 3) == 3
    assert options.conditions("0,3", None, None) == [0, 3]
    assert options.conditions(None, ["a cat"], None) == ["a cat"]


@pytest.mark.parametrize(
    ("classes", "prompts", "count", "message"),
    [
        ("0", None, 3, "give --classes or --count, not both"),
        (None, ["a cat"], 3, "give --prompt or --count, not both"),
        ("0", ["a cat"], None, "give --classes or --prompt, not both"),
    ],
)
def test_two_answers_to_what_to_draw_are_refused(
    classes: str | None, prompts: list[str] | None, count: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        options.conditions(classes, prompts, count)


@pytest.mark.parametrize("command", [("sample", "zoo:var-xs"), ("compare", "zoo:no", "zoo:no")])
def test_a_folder_is_no_picture_and_no_model_is_loaded_for_one(
    command: tuple[str, ...], bitscape: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Weights, "load", lambda *_, **__: pytest.fail("too late"))
    answer = bitscape(*command, "--out", tmp_path)
    assert answer.code == 2
    assert "is a folder: name a file in it" in answer.err


@pytest.mark.parametrize("command", ["evaluate", "compare", "bench"])
def test_commands_that_take_a_released_size_take_its_weights(
    command: str, bitscape: Command, tmp_path: Path
) -> None:
    models = ("var-d16", "var-d16") if command == "compare" else ("var-d16",)
    missing = tmp_path / "nope.pt"
    answer = bitscape(command, *models, "--checkpoint", missing)
    assert answer.code == 2
    assert "nope.pt" in answer.err


@pytest.mark.parametrize(
    ("reference", "model", "fed"), [(".", "b", "b"), ("a", ".", "a"), ("a", "b", "a")]
)
def test_released_weights_go_to_the_model_that_is_no_artefact(
    reference: str, model: str, fed: str, bitscape: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Weights] = {}
    tiny = api.Model(FAMILIES["var"].tiny())

    def load(self: Weights, name: str, **options: Any) -> api.Model:
        told[name] = self
        return tiny

    monkeypatch.setattr(Weights, "load", load)
    monkeypatch.setattr("bitscape.cli.compare._show", lambda *_: None)
    monkeypatch.setattr(api, "compare", lambda *_, **__: None)
    assert bitscape("compare", reference, model, "--checkpoint", "w.pt").code == 0
    assert [name for name, weights in told.items() if weights.checkpoint] == [fed]


def test_a_learning_rate_below_zero_names_its_option(bitscape: Command, tmp_path: Path) -> None:
    words = ("distill", "zoo:var-xs", "--recipe", "topkld-w3a16", "--out", tmp_path / "d")
    answer = bitscape(*words, "--learning-rate", "-1")
    assert answer.code == 2
    assert "--learning-rate" in answer.err


def test_calibration_that_is_not_there_names_its_option(bitscape: Command, tmp_path: Path) -> None:
    words = ("quantize", "zoo:var-xs", "--recipe", "gptq-w4a16", "--out", tmp_path / "d")
    answer = bitscape(*words, "--calibration", tmp_path / "nope")
    assert answer.code == 2
    assert "nope is no folder: give one of recorded calls" in answer.err


def test_options_of_the_sampler_are_pairs_with_values_in_yaml() -> None:
    assert options.sampler(None) == {}
    found = options.sampler(["guidance=2.5", "steps = 6", "solver=ddpm", "clip=null"])
    assert found == {"guidance": 2.5, "steps": 6, "solver": "ddpm", "clip": None}
    with pytest.raises(ValueError, match="--sampler 'guidance': write NAME=VALUE"):
        options.sampler(["guidance"])
    with pytest.raises(ValueError, match="values are not YAML"):
        options.sampler(["clip=["])


def test_a_model_draws_by_the_sampler_it_is_told(bitscape: Command, tmp_path: Path) -> None:
    def picture(*told: str) -> bytes:
        answer = bitscape("sample", "zoo:var-xs", "--count", 2, "--out", tmp_path / "a.png", *told)
        assert answer.code == 0, answer.err
        return (tmp_path / "a.png").read_bytes()

    plain = picture()
    assert picture("--sampler", "guidance=1.0") == plain
    assert picture("--sampler", "guidance=4", "--sampler", "top_k=5") != plain
    answer = bitscape("sample", "zoo:var-xs", "--count", 2, "--sampler", "steps=4")
    assert answer.code == 2
    assert "unknown sampler option 'steps': one of guidance" in answer.err
