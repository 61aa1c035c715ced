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
