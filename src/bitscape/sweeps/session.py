"""Running cells: each once, one line a cell, and nothing lost when the sweep is killed."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from bitscape.artefacts import locked
from bitscape.evaluation import Report, silent
from bitscape.laws import RECORDS, RunRecord, append, latest, load, repair
from bitscape.sweeps.executor import Executor
from bitscape.sweeps.grid import Cell
from bitscape.sweeps.local import LocalExecutor
from bitscape.sweeps.memory import MemoryNeeds
from bitscape.sweeps.runner import Attempt, Runner


@dataclass(frozen=True)
class Progress:
    """The state after a cell: counts over the whole grid, seconds of this session.

    `remaining_seconds` is None until this session has finished a cell.
    """

    done: int
    failed: int
    total: int
    record: RunRecord | None
    elapsed_seconds: float
    remaining_seconds: float | None


Watch = Callable[[Progress], None]


def run_cells(
    cells: Sequence[Cell],
    runner: Runner,
    out: Path,
    *,
    executor: Executor | None = None,
    retry_failed: bool = False,
    watch: Watch | None = None,
    report: Report = silent,
) -> list[RunRecord]:
    """The latest record of every cell, run now or found in `out`/runs.jsonl.

    A cell with a record is not run again, a failed one only with `retry_failed`. `executor` None
    runs one after the other in this process. Each record is on the disk before the next one is
    waited for. ValueError when another sweep is writing to `out`.
    """
    chosen = executor or LocalExecutor()
    with _locked(out):
        path = out / RECORDS
        if path.exists():
            repair(path)
        known = latest(load(path))
        open_cells = pending(cells, known, retry_failed=retry_failed)
        tally = _Tally(cells, known, open_cells)
        _tell(watch, tally.state(None))
        needs = MemoryNeeds(runner, known)
        for record in chosen.run(Attempt(runner), open_cells, needs, report):
            append(path, record)
            known[record.key] = record
            _tell(watch, tally.state(record))
    return [known[cell.key] for cell in cells]


def pending(
    cells: Sequence[Cell], known: dict[str, RunRecord], *, retry_failed: bool = False
) -> list[Cell]:
    """The cells that still have to be run."""
    return [
        cell
        for cell in cells
        if cell.key not in known or (retry_failed and known[cell.key].status == "failed")
    ]


@dataclass
class _Tally:
    """Counts and the pace of this session, for the remaining time."""

    cells: Sequence[Cell]
    known: dict[str, RunRecord]
    open_cells: Sequence[Cell]
    start: float = field(default_factory=time.monotonic)
    finished: dict[str, float] = field(default_factory=dict)

    def state(self, record: RunRecord | None) -> Progress:
        if record is not None:
            self.finished[record.key] = record.seconds
        left = [cell for cell in self.open_cells if cell.key not in self.finished]
        found = [self.known[cell.key] for cell in self.cells if cell.key in self.known]
        return Progress(
            done=len(self.cells) - len(left),
            failed=sum(each.status == "failed" for each in found),
            total=len(self.cells),
            record=record,
            elapsed_seconds=time.monotonic() - self.start,
            remaining_seconds=self.remaining(left),
        )

    def remaining(self, left: Sequence[Cell]) -> float | None:
        """Wall seconds for `left`: each costs what cells of its model cost, or the mean of all."""
        elapsed = time.monotonic() - self.start
        if not self.finished:
            return None
        paces: dict[str, list[float]] = {}
        for cell in self.open_cells:
            if cell.key in self.finished:
                paces.setdefault(cell.model, []).append(self.finished[cell.key])
        every = [seconds for values in paces.values() for seconds in values]
        # Cells may have run side by side: wall time per second of cell time corrects for that.
        ratio = elapsed / max(sum(every), 1e-9)
        seconds = (paces.get(cell.model, every) for cell in left)
        return ratio * sum(sum(values) / len(values) for values in seconds)


def _tell(watch: Watch | None, progress: Progress) -> None:
    if watch is not None:
        watch(progress)


def _locked(out: Path) -> AbstractContextManager[None]:
    """Hold `out` for one sweep."""
    out.mkdir(parents=True, exist_ok=True)
    busy = f"another sweep is writing to {out}: wait for it or choose another folder"
    return locked(out / ".lock", busy)
