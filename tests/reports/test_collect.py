from pathlib import Path
from typing import Any

import pytest

from bitscape.api.model import Model
from bitscape.models import FAMILIES
from bitscape.reports import collect
from bitscape.reports.committed import Committed
from bitscape.reports.results import Difference
from bitscape.reports.settings import SETTINGS, Plan
from bitscape.sweeps import FULL_PRECISION

PLAN = Plan(models=("zoo:var-l",), settings=SETTINGS[:2])
COMMITTED = Committed("shapes", 5000).add("zoo:var-l", FULL_PRECISION, 12.5)


def load(name: str) -> Model:
    return Model(FAMILIES["var"].tiny())


def quantize(model: Model, recipe: str, *, out: Path, seed: int) -> Model:
    """Stands for quantization: the same model, saved under another name."""
    model.save(out)
    return Model(model.pipeline, recipe={"name": recipe})


def evaluate(model: Model, full: Model | None, **_: Any) -> dict[str, Any]:
    """Invented numbers, with a difference only where there is something to differ from."""
    loss: dict[str, Any] = {"mean": 2.5, "standard_error": 0.01}
    if full is not None:
        loss["difference"] = {"mean": 0.1, "standard_error": 0.02}
    return {"nll": loss, "fd_shapes": {"mean": 20.0}, "class_accuracy": {"mean": 0.9}}


@pytest.fixture(autouse=True)
def _invented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "load", load)
    monkeypatch.setattr(collect, "quantize", quantize)
    monkeypatch.setattr(collect, "evaluate", evaluate)


def run(folder: Path) -> tuple[Any, list[str]]:
    said: list[str] = []
    panels = collect.collect(PLAN, folder / "models", folder, COMMITTED, said.append)
    return panels[0], said


def test_each_setting_is_announced_and_becomes_a_row(tmp_path: Path) -> None:
    panel, said = run(tmp_path)
    assert len(said) == len(panel.rows) == 2
    assert panel.full.loss_difference is None
    assert panel.rows[1].loss_difference == Difference(0.1, 0.02)
    assert [row.fd_committed for row in panel.rows] == [12.5, None]


def test_size_is_that_of_the_file_on_disk(tmp_path: Path) -> None:
    panel, _ = run(tmp_path)
    weights = tmp_path / "models" / "var-rtn-w8a8" / "model.safetensors"
    assert panel.rows[1].file_bytes == weights.stat().st_size


def test_pictures_show_every_class_at_the_same_seed(tmp_path: Path) -> None:
    panel, _ = run(tmp_path)
    assert len(panel.full.pictures) == 10
    assert (panel.full.pictures == panel.rows[1].pictures).all()


def test_second_run_replaces_the_artefacts_of_the_first(tmp_path: Path) -> None:
    run(tmp_path)
    panel, _ = run(tmp_path)
    assert len(panel.rows) == 2


def test_folder_that_is_no_artefact_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "models" / "var-rtn-w8a8" / "thesis.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("do not delete")
    with pytest.raises(FileExistsError):
        run(tmp_path)
    assert mine.read_text() == "do not delete"
