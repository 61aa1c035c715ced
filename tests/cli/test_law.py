"""The commands that fit laws and plan with them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitscape.cli.quantities import bytes_of

Command = Callable[..., Any]
TABLE = "model,family,params,method,w_bits,a_bits,metric,value,protocol\n" + "".join(
    f"m{size},var,{size}e8,{method},{bits},{bits * 2},fid,{a * (bits * size) ** -0.3},p\n"
    for method, bits, a in (("fp16", 16, 4), ("rtn", 8, 4), ("gptq", 4, 3.5))
    for size in (1, 2, 4, 8)
)
KEYS = {"source", "family", "method", "w_bits", "a_bits", "form", "alpha", "alpha_ci", "r2", "dof"}
KEYS |= {"bits_at", "bits_at_ci", "extrapolated", "chosen"}
CELL = {"budget", "model", "method", "w_bits", "a_bits", "quality", "quality_ci"}


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(TABLE)
    return path


def test_law_prints_one_entry_for_each_setting_and_form(csv: Path, bitscape: Command) -> None:
    found = bitscape("law", csv, "--axis", "compute-bits", "--at", "2.5", "--json").json
    assert len(found["laws"]) == 3 * 4
    assert all(set(law) >= KEYS for law in found["laws"])
    assert all(set(cell) >= CELL for cell in found["frontier"])
    assert sum(law["chosen"] for law in found["laws"]) == 3


def test_law_writes_what_it_prints(csv: Path, bitscape: Command, tmp_path: Path) -> None:
    out = tmp_path / "law"
    answer = bitscape("law", csv, "--out", out, "--json")
    assert json.loads((out / "law.json").read_text()) == answer.json
    assert "law.json" in answer.err


def test_law_summary_names_every_setting_and_its_freedom(csv: Path, bitscape: Command) -> None:
    text = bitscape("law", csv).out
    assert all(word in text for word in ("fp16", "rtn W8A16", "gptq W4A8", "dof", "Fits are weak"))


def test_law_refuses_bad_input(csv: Path, bitscape: Command, tmp_path: Path) -> None:
    for words, reason in (
        (("law",), "--published"),
        (("law", csv, "--published"), "either"),
        (("law", csv, "--axis", "bits"), "model-bits"),
        (("law", csv, "--bits", "real"), "nominal, actual"),
        (("law", csv, "--metric", "nll"), "no row measures"),
        (("law", csv, "--at", "-1"), "positive"),
        (("law", tmp_path / "none"), "does not exist"),
    ):
        answer = bitscape(*words)
        assert (answer.code, answer.out) == (2, "") and reason in answer.err


def test_plan_answers_under_each_budget(csv: Path, bitscape: Command, tmp_path: Path) -> None:
    out, profile = tmp_path / "law", tmp_path / "bench.json"
    bitscape("law", csv, "--out", out)
    row = {"scheme": "W4A8", "batch": 1, "latency_ms": {"median": 10.0}}
    slow = {"scheme": "W4A8", "batch": 8, "latency_ms": {"median": 70.0}}
    profile.write_text(json.dumps({"model": "m4", "parameters": 4e8, "rows": [slow, row]}))
    base = ("plan", "--law", out / "law.json", "--json")
    for budget in (
        ("--memory", "200MB"),
        ("--compute-bits", "13"),
        ("--latency-ms", "10", "--device-profile", profile),
    ):
        found = bitscape(*base, *budget).json
        (answer,) = found["answers"]
        assert (answer["best"]["model"], answer["best"]["scheme"]) == ("m4", "W4A8")
        assert not answer["best"]["extrapolated"]
    text = bitscape(*base[:-1], "--memory", "200MB").out
    assert "deploy" in text and "m4 gptq W4A8" in text


def test_plan_refuses_bad_input(csv: Path, bitscape: Command, tmp_path: Path) -> None:
    out = tmp_path / "law"
    bitscape("law", csv, "--out", out)
    law = out / "law.json"
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    timed = tmp_path / "bench.json"
    timed.write_text(
        json.dumps(
            {
                "model": "m4",
                "parameters": None,
                "rows": [{"batch": 1, "scheme": "W4A8", "latency_ms": {"median": 1.0}}],
            }
        )
    )
    for words, reason in (
        (("--law", law), "give one of"),
        (("--law", law, "--memory", "1GB", "--compute-bits", "1"), "give one of"),
        (("--law", law, "--memory", "much"), "--memory 'much'"),
        (("--law", law, "--latency-ms", "3"), "device profile"),
        (("--law", law, "--latency-ms", "3", "--device-profile", broken), "no profile"),
        (("--law", law, "--latency-ms", "3", "--device-profile", timed), "names no size"),
        (("--law", law, "--memory", "1GB", "--family", "dit"), "the file has var"),
        (("--law", broken, "--memory", "1GB"), "make it again"),
        (("--law", tmp_path / "none", "--memory", "1GB"), "does not exist"),
        (("--memory", "1GB"), "give --law"),
        (("zoo:var-xs", "--law", law, "--memory", "1GB"), "give --law"),
        (("zoo:var-xs", "--latency-ms", "1"), "answered from a law"),
        (("--law", law, "--memory", "1GB", "--recipe", "mixed-w4a16"), "belongs to MODEL"),
    ):
        answer = bitscape("plan", *words)
        assert (answer.code, answer.out) == (2, "") and reason in answer.err


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1.5GB", 1.5e9),
        ("700 MiB", 700 * 2**20),
        ("8e8", 8e8),
        ("3kB", 3e3),
        ("2gb", 2e9),
        ("1.5TB", 1.5e12),
        ("1TiB", 2**40),
    ],
)
def test_sizes(text: str, count: float) -> None:
    assert bytes_of(text) == count


@pytest.mark.parametrize(
    ("text", "remedy"), [("1.5Gb", "1.5GB"), ("700 Mib", "700MiB"), ("8Kb", "8KB")]
)
def test_bits_are_not_taken_for_bytes(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=f"{text}.*a small b means bits; write {remedy} for bytes"):
        bytes_of(text)
