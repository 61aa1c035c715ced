import hashlib
from pathlib import Path

import pytest
import yaml

from bitscape.evaluation import Settings
from bitscape.laws import load
from bitscape.sweeps import Cell, Evaluation, Grid, read_grid

YAML = """
models: [zoo:var-s, zoo:dit-s]
recipes: [full-precision, rtn-w4a16]
seeds: [0, 1, 2]
evaluations:
  - {n: 50, seeds: [0]}
  - {n: 50, seeds: [0], sampler: {guidance: 2.0}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "grid.yaml"
    path.write_text(text)
    return path


def test_every_list_is_crossed_with_every_other(tmp_path) -> None:
    cells = read_grid(write(tmp_path, YAML)).cells(tmp_path)
    assert len(cells) == len({cell.key for cell in cells}) == 2 * 2 * 3 * 2
    together = [(cell.model, cell.recipe, cell.seed) for cell in cells]
    assert together[0::2] == together[1::2]


def test_defaults_are_those_of_an_evaluation() -> None:
    assert Evaluation().settings() == Settings()


def test_the_key_survives_another_process() -> None:
    """Keys are on disk: changing how they are made makes every sweep start again."""
    (cell,) = Grid(models=("m",), recipes=("r",)).cells(Path())
    assert cell.key == "6b3bcb56e767b5a2"


def test_the_key_follows_a_recipe_file_by_content(tmp_path) -> None:
    keys = []
    for folder, text in (("a", "bits: 4"), ("b", "bits: 4"), ("c", "bits: 3")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.yaml").write_text(text)
        (cell,) = Grid(models=("m",), recipes=("mine.yaml",)).cells(tmp_path / folder)
        assert cell.label == "mine.yaml"
        keys.append(cell.key)
    assert keys[0] == keys[1] != keys[2]


def test_a_recipe_file_is_found_from_any_folder(tmp_path, monkeypatch) -> None:
    """Workers may run elsewhere; what identifies and names the cell knows nothing of the place."""
    text = "bits: 4"
    (tmp_path / "mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    (cell,) = Grid(models=("m",), recipes=("mine.yaml",)).cells(Path())
    monkeypatch.chdir("/")
    assert Path(cell.recipe).read_text() == text
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    beside = Cell("m", "mine.yaml", 0, Evaluation(), digest)
    assert (cell.key, cell.label) == (beside.key, beside.label)
    assert cell.label == "mine.yaml"


@pytest.mark.parametrize("name", ["ptq", "zoo"])
def test_committed_records_match_their_grids(name: str) -> None:
    folder = Path(__file__).parents[2] / "docs" / "benchmark"
    cells = [
        cell
        for grid in sorted(folder.glob("*.yaml"))
        if "models" in yaml.safe_load(grid.read_text())
        for cell in read_grid(grid).cells(folder)
    ]
    labels = {cell.key: cell.label for cell in cells}
    records = [record for record in load(folder / f"{name}.jsonl") if record.key in labels]
    assert records and any(record.recipe.endswith(".yaml") for record in records) == (name == "ptq")
    assert all(record.recipe == labels[record.key] for record in records)


def test_a_missing_recipe_file_is_named(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"mine.yaml does not exist"):
        Grid(models=("m",), recipes=("mine.yaml",)).cells(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: [a]", r"grid.yaml: recipes is missing: a grid needs .* `recipes:`"),
        ("models: []\nrecipes: [x]", "models is empty: name at least one"),
        ("models: a\nrecipes: [x]", "models: 'a' is no list: write it in brackets"),
        ("models: [a, a]\nrecipes: [x]", "models: a is listed twice"),
        (
            "models: [a]\nrecipes: [x]\nseed: 3",
            "no key seed: choose of models, recipes",
        ),
        ("models: [a]\nrecipes: [x]\n1: 2", "no key 1: choose of models"),
        (
            "models: [a]\nrecipes: [x]\nevaluations: [{m: 2}]",
            "no key evaluations.0.m: choose of n, seeds, losses",
        ),
        (
            "models: [a]\nrecipes: [x]\nevaluations: [5]",
            "evaluations.0: 5 has no keys: write some of n, ",
        ),
        (
            "models: [a]\nrecipes: [x]\nevaluations: [{n: 2}]",
            "evaluations: n = 2: it must be at least 4",
        ),
        (
            "models: [a]\nrecipes: [x]\nseeds: [one]",
            "seeds.0: 'one': input should be a valid integer",
        ),
        ("- a\n- b", "has no keys: a grid needs"),
        ("models: [a", "is not YAML"),
    ],
)
def test_a_wrong_grid_is_explained_in_one_line(tmp_path, text, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_grid(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_grid_in_another_encoding_is_named(tmp_path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_bytes(YAML.encode("utf-16"))
    with pytest.raises(ValueError, match=r"grid\.yaml is not text in UTF-8"):
        read_grid(path)
