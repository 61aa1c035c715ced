"""Distillation through the interface: what lies on disk, and what a killed run leaves."""

from pathlib import Path

import pytest

from bitscape import api
from bitscape.api.distill import CURVES
from bitscape.api.quantize import job_fingerprint
from bitscape.artefacts import workspace
from bitscape.models import FAMILIES
from bitscape.recipes import Calibration, Recipe
from bitscape.training import Ranks

FEW = Recipe(
    name="few",
    method="topkld",
    scheme="W4A16",
    options={"start": "rtn", "steps": 1, "batch": 2},
    calibration=Calibration(samples=2, batch=2),
)


class Killed(Exception):
    """Stands for a kill between the last write and the clean-up."""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A finished artefact whose workspace a kill has left behind."""
    out = tmp_path / "out"
    model = api.Model(FAMILIES["var"].tiny())
    api.distill(model, FEW, out=out)
    with pytest.raises(Killed), workspace(out, job_fingerprint(model, FEW, None, 0)):
        raise Killed
    return out


def test_a_run_killed_behind_its_end_is_finished(killed: Path) -> None:
    written = (killed / "model.safetensors").stat().st_mtime_ns
    api.distill(api.Model(FAMILIES["var"].tiny()), FEW, out=killed)
    assert (killed / "model.safetensors").stat().st_mtime_ns == written
    assert (killed / CURVES).is_file()
    assert [path.name for path in killed.parent.iterdir()] == [killed.name]


def test_other_processes_are_told_that_the_run_is_finished(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that trained alone would wait for the first for ever."""
    monkeypatch.setattr(Ranks, "current", lambda: Ranks(rank=1, count=2))
    told: list[object] = []

    def shared(self: Ranks, value: object) -> bool:
        told.append(value)
        return True

    monkeypatch.setattr(Ranks, "shared", shared)
    written = (killed / CURVES).stat().st_mtime_ns
    model = api.distill(api.Model(FAMILIES["var"].tiny()), FEW, out=killed)
    assert told == [False] and model.source == killed
    assert (killed / CURVES).stat().st_mtime_ns == written


def test_a_recipe_that_trains_nothing_is_refused() -> None:
    model = api.Model(FAMILIES["var"].tiny())
    with pytest.raises(ValueError, match="recipe rtn-w4a16 trains nothing: use `quantize`"):
        api.distill(model, "rtn-w4a16")
