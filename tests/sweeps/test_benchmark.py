"""The grids of the benchmark page: they can be read, and every recipe in them exists."""

from pathlib import Path

import pytest

from bitscape.recipes import find_recipe
from bitscape.sweeps import FULL_PRECISION, read_grid

FOLDER = Path(__file__).parents[2] / "docs" / "benchmark"
GRIDS = [
    "ptq.yaml",
    "ptq-distance.yaml",
    "dilatequant.yaml",
    *sorted(path.name for path in FOLDER.glob("distill-*")),
]


@pytest.mark.parametrize("name", GRIDS)
def test_grid_is_read_and_its_recipes_are_found(name: str) -> None:
    grid = read_grid(FOLDER / name)
    cells = grid.cells(FOLDER)
    assert len(cells) == len(grid.models) * len(grid.recipes) * len(grid.seeds)
    for recipe in {cell.recipe for cell in cells} - {FULL_PRECISION}:
        find_recipe(recipe)
