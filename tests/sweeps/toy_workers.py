"""A runner for processes of their own, and the script of a sweep that gets killed.

`python toy_workers.py OUT` sweeps twelve short cells with two workers.
"""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bitscape.evaluation import Report
from bitscape.laws import Bits, Quality, RunRecord
from bitscape.sweeps import Cell, Cost, Grid, LocalExecutor, run_cells

SEEDS = tuple(range(6))


@dataclass
class TraceRunner:
    """Leaves a file for each attempt; cells may take their process down with them."""

    folder: Path
    seconds: float = 0.0

    def run(self, cell: Cell, report: Report) -> RunRecord:
        attempts = len(list(self.folder.glob(f"{cell.key}-*")))
        (self.folder / f"{cell.key}-{attempts}").write_text(str(os.getpid()))
        report("toy", 1, 2)
        if cell.recipe == "deadly" or (cell.recipe == "fragile" and attempts == 0):
            os.kill(os.getpid(), signal.SIGKILL)
        if cell.recipe == "broken":
            raise ValueError("no such recipe")
        time.sleep(self.seconds)
        return record(cell)

    def probe(self, cell: Cell) -> Cost:
        return Cost(seconds=1.0, disk_bytes=0, memory_bytes=1000)

    def quantize_seconds(self, cell: Cell) -> float:
        return 0.0


def record(cell: Cell) -> RunRecord:
    bits = Bits(nominal_weight=4, actual_weight=4, nominal_model=100, actual_model=100, compute=1)
    return RunRecord(
        key=cell.key,
        model=cell.model,
        recipe=cell.recipe,
        method="rtn",
        scheme="W4A16",
        seed=cell.seed,
        evaluation=cell.evaluation.model_dump(mode="json"),
        status="done",
        bits=bits,
        quality=Quality(protocol="toy", n=4, seeds=(0,), metrics={"nll": cell.seed}),
        seconds=2.0,
        quantize_seconds=0.5,
        version="0",
        commit=None,
        machine="toy",
        created="2026-01-01T00:00:00+00:00",
    )


def grid() -> list[Cell]:
    return Grid(models=("a", "b"), recipes=("x",), seeds=SEEDS).cells(Path())


if __name__ == "__main__":
    out = Path(sys.argv[1])
    trace = out.with_name("trace")
    trace.mkdir(exist_ok=True)
    run_cells(grid(), TraceRunner(trace, 0.05), out, executor=LocalExecutor(2, memory=10**9))
