"""Several processes at once: the same records, whatever dies."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from bitscape.laws import load
from bitscape.sweeps import RECORDS, Grid, LocalExecutor, run_cells

FOLDER = Path(__file__).parent
RECIPES = ("fragile", "broken", "deadly", "x")


@pytest.fixture
def toys(monkeypatch):
    """The module of toy runners, under a name that other processes can import."""
    monkeypatch.syspath_prepend(FOLDER)
    import toy_workers

    return toy_workers


def test_lost_and_broken_cells_leave_the_others_untouched(toys, tmp_path) -> None:
    cells = Grid(models=("a",), recipes=RECIPES).cells(tmp_path)
    trace, reports = tmp_path / "trace", []
    trace.mkdir()
    records = run_cells(
        cells,
        toys.TraceRunner(trace),
        tmp_path / "runs",
        executor=LocalExecutor(2, memory=2000),
        report=lambda *words: reports.append(words),
    )
    assert [record.key for record in records] == [cell.key for cell in cells]
    assert [record.status for record in records] == ["done", "failed", "failed", "done"]
    assert [records[i] for i in (0, 3)] == [toys.record(cells[i]) for i in (0, 3)]
    assert records[1].reason == "ValueError: no such recipe"
    assert "killed by signal 9, twice" in records[2].reason
    attempts = Counter(path.name.split("-")[0] for path in trace.iterdir())
    assert [attempts[cell.key] for cell in cells] == [2, 1, 2, 1]
    assert Counter(record.key for record in load(tmp_path / "runs" / RECORDS)) == Counter(
        cell.key for cell in cells
    )
    assert ("toy", 1, 2) in reports


def test_a_sweep_killed_at_any_moment_loses_and_repeats_no_run(toys, tmp_path) -> None:
    out = tmp_path / "runs"
    command = [sys.executable, str(FOLDER / "toy_workers.py"), str(out)]
    process = subprocess.Popen(command)
    while process.poll() is None and len(load(out / RECORDS)) < 3:
        time.sleep(0.01)
    time.sleep(random.Random(0).uniform(0, 0.1))
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = load(out / RECORDS)
    records = run_cells(toys.grid(), toys.TraceRunner(tmp_path / "trace"), out)
    assert load(out / RECORDS)[: len(finished)] == finished
    assert Counter(record.key for record in load(out / RECORDS)) == Counter(
        cell.key for cell in toys.grid()
    )
    assert records == [toys.record(cell) for cell in toys.grid()]
    # At most the two cells that ran when it was killed were begun again.
    assert len(list((tmp_path / "trace").iterdir())) <= len(records) + 2
