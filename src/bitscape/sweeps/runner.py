"""What a sweep asks of whoever runs its cells, and the record of a cell that failed."""

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from bitscape.evaluation import Report, silent
from bitscape.laws import RunRecord, to_line
from bitscape.runtime import peaks, reset_peaks
from bitscape.sweeps.grid import Cell
from bitscape.sweeps.provenance import commit, machine, now, version


@dataclass(frozen=True)
class Cost:
    """What a cell is expected to take, without what cells share: full precision beside it."""

    seconds: float
    disk_bytes: int
    memory_bytes: int


@runtime_checkable
class Runner(Protocol):
    """Runs single cells; picklable, so that an executor may send it elsewhere."""

    def run(self, cell: Cell, report: Report) -> RunRecord:
        """The record of `cell`, with progress told to `report`; raises when it cannot be run."""
        ...

    def probe(self, cell: Cell) -> Cost:
        """The expected cost of evaluating `cell`, from a few samples."""
        ...

    def quantize_seconds(self, cell: Cell) -> float:
        """The expected time of quantization."""
        ...


@dataclass(frozen=True)
class Attempt:
    """Runs a cell and turns its failure into a record, so that one bad cell ends no sweep."""

    runner: Runner

    def __call__(self, cell: Cell, report: Report = silent) -> RunRecord:
        """The record of `cell`, finished or failed; only a signal to stop gets through."""
        start = time.perf_counter()
        reset_peaks()
        try:
            with _named_warnings(cell):
                record = self.runner.run(cell, report)
            to_line(record)  # a record that cannot be written is a failure of its cell too
            return record
        except Exception as error:  # any failure of a cell is a result of the sweep
            return failed(cell, error, time.perf_counter() - start)


@contextmanager
def _named_warnings(cell: Cell) -> Iterator[None]:
    """Say with each warning which cell it comes from: several run at once."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print(f"{cell.model} {cell.label}, seed {cell.seed}: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def failed(cell: Cell, error: Exception, seconds: float) -> RunRecord:
    """The record of a cell that raised `error`, with its reason in one line."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return RunRecord(status="failed", reason=reason, seconds=seconds, **circumstances(cell))


def circumstances(cell: Cell) -> dict[str, Any]:
    """The fields of a record that do not depend on how the cell ended."""
    return {
        "key": cell.key,
        "model": cell.model,
        "recipe": cell.label,
        "seed": cell.seed,
        "evaluation": cell.evaluation.model_dump(mode="json"),
        **peaks(),
        "version": version(),
        "commit": commit(),
        "machine": machine(),
        "created": now(),
    }
