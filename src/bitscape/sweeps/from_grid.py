"""A sweep from grid files, run by the library on the bundled protocol."""

from collections.abc import Sequence
from pathlib import Path

from bitscape import zoo
from bitscape.api.catalogue import ZOO, known_names, unknown
from bitscape.evaluation import Report, silent
from bitscape.laws import RunRecord
from bitscape.recipes import find_recipe
from bitscape.sweeps.estimate import Estimate, estimate_cells
from bitscape.sweeps.executor import Executor
from bitscape.sweeps.grid import FULL_PRECISION, Cell, read_grid
from bitscape.sweeps.library import LibraryRunner
from bitscape.sweeps.session import Watch, run_cells
from bitscape.zoo import shapes_protocol

SAMPLES = "work"


def sweep(
    grids: Sequence[Path],
    out: Path,
    *,
    executor: Executor | None = None,
    retry_failed: bool = False,
    watch: Watch | None = None,
    report: Report = silent,
) -> list[RunRecord]:
    """The record of every cell of the grid files, those that `out` already holds included.

    Records go to `out`/runs.jsonl, samples to `out`/work. `watch` sees each finished cell, `report`
    the progress inside one.
    """
    runner = LibraryRunner(shapes_protocol(), (out / SAMPLES).absolute())
    return run_cells(
        cells_of(grids),
        runner,
        out,
        executor=executor,
        retry_failed=retry_failed,
        watch=watch,
        report=report,
    )


def estimate(grids: Sequence[Path], out: Path, *, retry_failed: bool = False) -> Estimate:
    """What `sweep` of the same grids would take now; nothing is written to `out`."""
    runner = LibraryRunner(shapes_protocol(), out / SAMPLES)
    return estimate_cells(cells_of(grids), runner, out, retry_failed=retry_failed)


def cells_of(grids: Sequence[Path]) -> list[Cell]:
    """The cells of all `grids` in order, each once; every name in them is known.

    FileNotFoundError for a grid that is none; ValueError for a wrong one, and with the nearest
    names for a model or a recipe that nobody knows. A model of the zoo may still lack its weights.
    """
    found: dict[str, Cell] = {}
    for grid in grids:
        if not grid.is_file():
            raise FileNotFoundError(f"the grid {grid} does not exist")
        for cell in read_grid(grid).cells(grid.parent):
            found.setdefault(cell.key, cell)
    cells = list(found.values())
    _require_known(cells)
    return cells


def _require_known(cells: Sequence[Cell]) -> None:
    """Raise ValueError for a model or a recipe that is none, before any cell is run."""
    names = dict.fromkeys([*(ZOO + name for name in zoo.ENTRIES), *known_names()])
    for model in dict.fromkeys(cell.model for cell in cells):
        if model not in names and not Path(model).is_dir():
            raise unknown("model", model, names, "or give an artefact folder")
    for recipe in dict.fromkeys(cell.recipe for cell in cells):
        if recipe != FULL_PRECISION:
            find_recipe(recipe)
