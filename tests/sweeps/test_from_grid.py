"""Every name in a grid is known before a cell is run."""

from pathlib import Path

import pytest

from bitscape import zoo
from bitscape.sweeps import estimate, sweep
from bitscape.sweeps.from_grid import cells_of


def grid(folder: Path, model: str, recipe: str = "rtn-w4a16") -> Path:
    path = folder / "grid.yaml"
    path.write_text(f"models: [zoo:var-xs, {model}]\nrecipes: [full-precision, {recipe}]\n")
    return path


@pytest.mark.parametrize(
    ("model", "recipe", "words"),
    [
        ("zoo:var-xss", "rtn-w4a16", "unknown model 'zoo:var-xss': nearest are zoo:var-xs"),
        ("zoo:var-s", "rtn-w44", "unknown recipe 'rtn-w44': nearest are "),
        ("zoo:var-s", "rtn-w4a16:effort=3", "rtn has no option 'effort'"),
    ],
)
def test_a_misspelt_name_is_refused_before_anything_runs(
    tmp_path: Path, model: str, recipe: str, words: str
) -> None:
    path, out = grid(tmp_path, model, recipe), tmp_path / "runs"
    for run in (sweep, estimate):
        with pytest.raises(ValueError, match=words):
            run([path], out)
    assert not out.exists()


def test_a_recipe_file_is_read_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine")
    with pytest.raises(ValueError, match=r"mine\.yaml"):
        cells_of([grid(tmp_path, "zoo:var-s", "mine.yaml")])


def test_a_model_without_weights_yet_and_a_folder_are_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo, "available", lambda: ["var-xs"])
    folder = tmp_path / "artefact"
    folder.mkdir()
    for model in ("zoo:unet-m", str(folder), "dit-XL-2"):
        cells = cells_of([grid(tmp_path, model)])
        assert {cell.model for cell in cells} == {"zoo:var-xs", model}
