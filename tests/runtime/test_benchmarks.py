import json
import runpy
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
SMALL = {
    "linear": "--inputs 64 --outputs 32 --rows 4",
    "block": "--channels 64 --heads 2 --batch 1 --tokens 4",
}


@pytest.mark.parametrize("name", SMALL)
def test_script_reports_every_variant(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"{name} {SMALL[name]} --threads 1 --seconds 0.01 --json"
    monkeypatch.setattr("sys.argv", words.split())
    monkeypatch.syspath_prepend(SCRIPTS)
    runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    report = json.loads(capsys.readouterr().out)
    for table in report["tables"].values():
        assert {"fp32", "bf16", "W8A8", "W8A8,static", "W4A8", "W4A16"} == set(table)
        assert all(row["median"] > 0 for row in table.values())


def test_convolution_and_unet_are_timed_beside_both_floats(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("diffusers")
    words = "conv --channels 32 --side 4 --batch 1 --unet 32 --threads 1 --seconds 0.01 --json"
    monkeypatch.setattr("sys.argv", words.split())
    runpy.run_path(str(SCRIPTS / "conv.py"), run_name="__main__")
    for rows in json.loads(capsys.readouterr().out)["tables"].values():
        assert list(rows) == ["fp32", "bf16", "W8A8,static"]
        assert all(row["median"] > 0 and row["over bf16"] > 0 for row in rows.values())


def test_a_whole_generation_is_timed_for_every_candidate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "var_d16 --size tiny --batch 1 --threads 1 --candidates fp32 bf16 W8A8 --json"
    monkeypatch.setattr("sys.argv", words.split())
    runpy.run_path(str(SCRIPTS / "var_d16.py"), run_name="__main__")
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert list(rows) == ["fp32", "bf16", "W8A8"]
    for row in rows.values():
        assert row["seconds"] == sum(row["by_scale"]) > 0
        assert row["resident_bytes"] > 0


def test_one_image_of_each_family_is_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = "families --models var-tiny dit-tiny mar-tiny --threads 1 --repeat 2 --out"
    monkeypatch.setattr("sys.argv", [*words.split(), str(tmp_path / "s.json")])
    runpy.run_path(str(SCRIPTS / "families.py"), run_name="__main__")
    rows = json.loads((tmp_path / "s.json").read_text())["rows"]
    assert list(rows) == ["var-tiny", "dit-tiny", "mar-tiny"]
    for row in (each for dtypes in rows.values() for each in dtypes.values()):
        parts = [row[part] for part in ("network", "sampler", "decoder")]
        assert row["seconds"] == sum(parts) and min(parts) > 0
    # Scales differ in shape; steps of diffusion do not.
    counts = {name: (row["fp32"]["run"], row["fp32"]["calls"]) for name, row in rows.items()}
    assert counts["var-tiny"][0] == counts["var-tiny"][1]
    assert counts["dit-tiny"] == (2, 20)
    assert counts["mar-tiny"][0] < counts["mar-tiny"][1]
    assert "2 of 20 calls run" in capsys.readouterr().out
