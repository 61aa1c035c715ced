"""A sweep from grid files, run by the library on the bundled protocol."""

from collections.abc import Sequence
from pathlib import Path

from bitscape.evaluation import Report, silent
from bitscape.laws import RunRecord
from bitscape.sweeps.estimate import Estimate, estimate_cells
from bitscape.sweeps.executor import Executor
from bitscape.sweeps.grid import Cell, read_grid
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
    """The cells of all `grids` in order, each once; FileNotFoundError for a grid that is none."""
    found: dict[str, Cell] = {}
    for grid in grids:
        if not grid.is_file():
            raise FileNotFoundError(f"the grid {grid} does not exist")
        for cell in read_grid(grid).cells(grid.parent):
            found.setdefault(cell.key, cell)
    return list(found.values())
