"""Distillation through the interface: what lies on disk, and what a killed run leaves."""

from pathlib import Path

import pytest
import torch

from bitscape import api
from bitscape.api.distill import CURVES
from bitscape.api.job import Job
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


class Killed(BaseException):
    """Stands for a kill between the last write and the clean-up."""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A finished artefact whose workspace a kill has left behind."""
    out = tmp_path / "out"
    model = api.Model(FAMILIES["var"].tiny())
    api.distill(model, FEW, out=out)
    with pytest.raises(Killed), workspace(out, Job(model, FEW).fingerprint):
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


@pytest.mark.parametrize(
    ("family", "method", "scheme", "options"),
    [
        ("var", "gptq", "W4A16", {}),
        ("var", "quarot", "W4A8", {}),
        ("dit", "ptq4arvg", "W4A8,static", {}),
        ("dit", "mpq-dm", "W3A6,static", {"steps": 0}),
    ],
)
def test_training_starts_as_the_artefact_it_is_given(
    family: str, method: str, scheme: str, options: dict[str, object], tmp_path: Path
) -> None:
    calibration = Calibration(samples=4, batch=2)
    start = tmp_path / "start"
    first = Recipe(
        name="first", method=method, scheme=scheme, options=options, calibration=calibration
    )
    model = api.Model(FAMILIES[family].tiny())
    api.quantize(model, first, out=start)
    # A step too short to move a number: what comes out is what went in.
    still = {"steps": 1, "batch": 2, "rate": 1e-30}
    second = Recipe(
        name="few", method="topkld", scheme=scheme, options=still, calibration=calibration
    )
    result = api.distill(model, second, start=start)
    wanted = api.load(start, kernel="none").pipeline.network.state_dict()
    found = result.pipeline.network.state_dict()
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-6, atol=1e-7)
    assert result.report["begun"]["recipe"] == "first"
    images = api.load(start, kernel="none").sample(2)
    assert (abs(result.sample(2).astype(int) - images.astype(int)) <= 1).all()


def test_an_artefact_of_another_scheme_or_model_is_no_start(tmp_path: Path) -> None:
    var, dit = (api.Model(FAMILIES[family].tiny()) for family in ("var", "dit"))
    rounded = FEW.model_copy(update={"method": "rtn", "scheme": "W3A16", "options": {}})
    api.quantize(var, rounded, out=tmp_path / "start")
    with pytest.raises(ValueError, match="at W3A16 and few at W4A16: choose the recipe"):
        api.distill(var, FEW, start=tmp_path / "start")
    with pytest.raises(ValueError, match="is a var-tiny and cannot start a dit-tiny"):
        api.distill(dit, FEW, start=tmp_path / "start")
    with pytest.raises(
        ValueError, match="^training cannot start from 'nowhere'.*folder of an artefact$"
    ):
        api.distill(var, FEW, start="nowhere")
