import json
from pathlib import Path

import pytest

from bitscape.laws import Bits, Quality, RunRecord, append, latest, load, repair


def record(key: str = "a", **changes) -> RunRecord:
    fields = {
        "key": key,
        "model": "zoo:var-s",
        "family": "var",
        "parameters": 160_000,
        "recipe": "gptq-w4a16",
        "method": "gptq",
        "scheme": "W4A16",
        "seed": 0,
        "evaluation": {"n": 100},
        "status": "done",
        "bits": Bits(
            nominal_weight=4, actual_weight=4.25, nominal_model=7e5, actual_model=7.2e5, compute=1e7
        ),
        "quality": Quality(protocol="shapes", n=100, seeds=(0,), metrics={"nll": 2.5, "kl": None}),
        "seconds": 3.5,
        "version": "0.1.0",
        "commit": None,
        "machine": "cpu",
        "created": "2026-01-01T00:00:00+00:00",
    }
    return RunRecord(**fields | changes)


FAILED = {"status": "failed", "reason": "ValueError: no", "bits": None, "quality": None}


def test_what_was_appended_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "runs.jsonl"
    written = [record("a"), record("b", **FAILED, method=None, scheme=None), record("µ")]
    for each in written:
        append(path, each)
    assert load(path) == written
    assert len(path.read_text().splitlines()) == 3


def test_an_absent_file_holds_nothing(tmp_path: Path) -> None:
    assert load(tmp_path / "none.jsonl") == []


def test_a_line_torn_anywhere_is_ignored_then_repaired(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    append(path, record("a"))
    first = path.stat().st_size
    append(path, record("b"))
    whole = path.read_bytes()
    # Every place near both ends, where the cases differ, and some in between.
    cuts = {
        *range(first, first + 4),
        *range(first, len(whole), 50),
        *range(len(whole) - 4, len(whole) + 1),
    }
    for cut in sorted(cuts):
        path.write_bytes(whole[:cut])
        complete = cut >= len(whole) - 1
        kept = ["a", "b"] if complete else ["a"]
        assert [r.key for r in load(path)] == kept
        append(path, record("c"))
        assert [r.key for r in load(path)] == [*kept, "c"]
        assert path.read_bytes().endswith(b"}\n")


def test_repair_leaves_a_whole_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    append(path, record())
    before = path.read_bytes()
    repair(path)
    assert path.read_bytes() == before


def test_damage_before_the_last_line_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    append(path, record())
    path.write_bytes(b'{"key": \n' + path.read_bytes())
    with pytest.raises(ValueError, match=r"runs.jsonl, line 1: not JSON"):
        load(path)


@pytest.mark.parametrize("version", [2, None, "1"])
def test_an_unknown_schema_version_is_named(tmp_path: Path, version) -> None:
    path = tmp_path / "runs.jsonl"
    content = record().model_dump(mode="json") | {"schema_version": version, "new_field": 1}
    path.write_text(json.dumps(content) + "\n")
    with pytest.raises(ValueError, match=f"line 1: run record of schema version {version!r}"):
        load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seconds": "long"}, "seconds: "),
        ({"surprise": 1}, "surprise: "),
        ({"bits": None}, "a finished run has bits"),
        ({"reason": "odd"}, "a finished run has bits"),
        ({**FAILED, "reason": None}, "a failed run has a reason"),
    ],
    ids=["type", "extra", "no bits", "reason of success", "no reason"],
)
def test_an_invalid_record_is_refused_on_load(tmp_path: Path, change, message) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(json.dumps(record().model_dump(mode="json") | change) + "\n")
    with pytest.raises(ValueError, match=f"line 1: .*{message}"):
        load(path)


def test_nan_never_reaches_the_file(tmp_path: Path) -> None:
    broken = Quality(protocol="shapes", n=1, seeds=(0,), metrics={"nll": float("nan")})
    with pytest.raises(ValueError):
        append(tmp_path / "runs.jsonl", record(quality=broken))
    assert load(tmp_path / "runs.jsonl") == []


def test_the_latest_record_of_a_key_counts() -> None:
    first, second = record("a", **FAILED), record("a")
    assert latest([first, record("b"), second])["a"] is second
