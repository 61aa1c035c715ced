"""What `bitscape plan` says beside its answer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
HEADER = "model,family,params,method,w_bits,a_bits,metric,value,protocol,actual_bits\n"


def table(family: str = "var", protocol: str = "p", actual: float | None = None) -> str:
    """Lines of two settings at four sizes, with real bits where a factor is given."""
    return "".join(
        f"{family}-{size},{family},{size}e8,{method},{bits},16,fid,"
        f"{a * (bits * size) ** -0.3},{protocol},{bits * size * 1e8 * actual if actual else ''}\n"
        for method, bits, a in (("fp16", 16, 4), ("gptq", 4, 3.5))
        for size in (1, 2, 4, 8)
    )


@pytest.fixture
def planned(bitscape: Command, tmp_path: Path) -> Command:
    """A function that fits a table and plans with it."""

    def run(text: str, *words: object) -> Any:
        (tmp_path / "t.csv").write_text(HEADER + text)
        bitscape("law", tmp_path / "t.csv", "--out", tmp_path / "law")
        return bitscape("plan", "--law", tmp_path / "law" / "law.json", *words)

    return run


def profile(path: Path, model: str, parameters: float) -> Path:
    """A bench.json of one model at W4A16."""
    row = {"scheme": "W4A16", "batch": 1, "latency_ms": {"median": 10.0}}
    path.write_text(json.dumps({"model": model, "parameters": parameters, "rows": [row]}))
    return path


def test_memory_names_its_accounting(planned: Command) -> None:
    nominal = planned(table(), "--memory", "200MB").out
    assert "var-4 gptq W4A16, 200 MB nominal" in nominal
    assert "Nominal bytes are width times parameters" in nominal
    actual = planned(table(actual=1.2), "--memory", "240MB").out
    assert "var-4 gptq W4A16, 240 MB actual" in actual and "Nominal" not in actual


def test_a_profile_says_which_family_it_times(planned: Command, tmp_path: Path) -> None:
    bench = profile(tmp_path / "bench.json", "var-4", 4e8)
    words = ("--latency-ms", "20", "--device-profile", bench)
    text = planned(table() + table("dit"), *words).out
    assert "dit, " in text and "the profile times var-4, which is not of dit" in text
    assert "var-8 gptq W4A16, 20 ms" in text
    assert "within the sizes measured, its time extrapolated to 2 times the sizes timed" in text


def test_a_profile_without_a_model_is_none(planned: Command, tmp_path: Path) -> None:
    bench = profile(tmp_path / "bench.json", "var-4", 4e8)
    content = json.loads(bench.read_text())
    del content["model"]
    bench.write_text(json.dumps(content))
    answer = planned(table(), "--latency-ms", "20", "--device-profile", bench)
    assert answer.code == 2 and "is no profile" in answer.err


def test_protocols_are_named_where_there_are_several(planned: Command) -> None:
    assert ", p: " not in planned(table(), "--memory", "200MB").out
    text = planned(table() + table(protocol="q"), "--memory", "200MB").out
    assert ", p: " in text and ", q: " in text


def test_a_study_without_laws_is_told(planned: Command) -> None:
    pairs = "".join(
        line
        for line in table().splitlines(keepends=True)
        if not line.startswith(("var-4", "var-8"))
    )
    answer = planned(pairs, "--memory", "200MB")
    assert (answer.code, answer.out) == (2, "")
    assert "law.json: no setting has the three sizes that a law needs" in answer.err


def test_nothing_to_deploy_is_no_success(planned: Command) -> None:
    """The cheapest is 1e8 weights of 4 bits; nothing reaches a quality of 1e-3."""
    for words, reason in (
        (("--memory", "10B"), "nothing fits: var-1 W4A16 takes 50 MB"),
        (("--memory", "1GB", "--quality", "1e-3"), "nothing that fits reaches 0.001: "),
    ):
        answer = planned(table(), *words)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("bitscape: var, ") and reason in answer.err
        assert len(answer.err.splitlines()) == 1


def test_one_answer_of_several_is_a_success(planned: Command) -> None:
    """The second family counts 1e10 times the bits, so that none of it fits."""
    large = table("dit", actual=1e10).replace("e8,", "e18,")
    answer = planned(table() + large, "--memory", "200MB")
    assert answer.code == 0 and "nothing fits: dit-1" in answer.out and "deploy" in answer.out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--seed", 5), "--seed belongs to MODEL"),
        (("--checkpoint", "a.pt"), "--checkpoint belongs to MODEL"),
        (("--tokenizer", "a.pt"), "--tokenizer belongs to MODEL"),
        (("--device-profile", "bench.json"), "add --latency-ms, or drop it"),
        (("--quality", "nan"), "quality nan to reach: give a positive number"),
        (("--quality", "-2"), "quality -2 to reach: give a positive number"),
    ],
)
def test_options_that_a_law_has_no_use_for(
    planned: Command, words: tuple[object, ...], reason: str
) -> None:
    answer = planned(table(), "--memory", "1GB", *words)
    assert (answer.code, answer.out) == (2, "") and reason in answer.err


def test_the_folder_of_a_law_will_do(planned: Command, bitscape: Command, tmp_path: Path) -> None:
    by_file = planned(table(), "--memory", "200MB").out
    assert bitscape("plan", "--law", tmp_path / "law", "--memory", "200MB").out == by_file
