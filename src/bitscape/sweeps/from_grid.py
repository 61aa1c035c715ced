"""A sweep from a grid file, run by the library on the bundled protocol."""

from pathlib import Path

from bitscape.evaluation import Report, silent
from bitscape.laws import RunRecord
from bitscape.sweeps.estimate import Estimate, estimate_cells
from bitscape.sweeps.executor import Executor
from bitscape.sweeps.grid import read_grid
from bitscape.sweeps.library import LibraryRunner
from bitscape.sweeps.session import Watch, run_cells
from bitscape.zoo import shapes_protocol

SAMPLES = "work"


def sweep(
    grid: Path,
    out: Path,
    *,
    executor: Executor | None = None,
    retry_failed: bool = False,
    watch: Watch | None = None,
    report: Report = silent,
) -> list[RunRecord]:
    """The record of every cell of the grid file, those that `out` already holds included.

    Records go to `out`/runs.jsonl, samples to `out`/work. `watch` sees each finished cell, `report`
    the progress inside one.
    """
    cells = read_grid(grid).cells(grid.parent)
    runner = LibraryRunner(shapes_protocol(), (out / SAMPLES).absolute())
    return run_cells(
        cells,
        runner,
        out,
        executor=executor,
        retry_failed=retry_failed,
        watch=watch,
        report=report,
    )


def estimate(grid: Path, out: Path, *, retry_failed: bool = False) -> Estimate:
    """What `sweep` of the same grid would take now; nothing is written to `out`."""
    cells = read_grid(grid).cells(grid.parent)
    runner = LibraryRunner(shapes_protocol(), out / SAMPLES)
    return estimate_cells(cells, runner, out, retry_failed=retry_failed)
