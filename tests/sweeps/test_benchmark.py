"""The grids of the documentation: they can be read, and every recipe in them exists."""

import math
from pathlib import Path

import pytest

from bitscape.recipes import find_recipe
from bitscape.sweeps import FULL_PRECISION, read_grid

DOCS = Path(__file__).parents[2] / "docs"
GRIDS = {
    "benchmark": (
        *(
            f"{name}{kind}.yaml"
            for name in ("ptq", "dilatequant", "mpq-dm")
            for kind in ("", "-distance")
        ),
        "ptq-learned.yaml",
        "dilatequant-m*.yaml",
        "distill-*.yaml",
    ),
    "study": ("[1-9]*-*.yaml",),
}
FILES = [
    path
    for folder, names in GRIDS.items()
    for name in names
    for path in sorted((DOCS / folder).glob(name))
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_grid_is_read_and_its_recipes_are_found(path: Path) -> None:
    grid = read_grid(path)
    cells = grid.cells(path.parent)
    lists = (grid.models, grid.recipes, grid.seeds, grid.evaluations)
    assert len(cells) == math.prod(map(len, lists))
    for recipe in {cell.recipe for cell in cells} - {FULL_PRECISION}:
        find_recipe(recipe)
