"""Ray, where it is installed: a lost worker costs a retry, a lost cell is recorded."""

import sys
from pathlib import Path

import pytest

from bitscape.sweeps import Grid, RayExecutor, run_cells

FOLDER = Path(__file__).parent


def test_without_ray_the_remedy_is_named(cells, runner, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"bitscape\[ray\]"):
        run_cells(cells, runner, tmp_path, executor=RayExecutor())


@pytest.mark.filterwarnings("ignore")
def test_killed_workers_are_replaced_and_lost_cells_recorded(tmp_path, monkeypatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setenv("PYTHONPATH", str(FOLDER), prepend=":")
    import toy_workers as toys

    trace = tmp_path / "trace"
    trace.mkdir()
    cells = Grid(models=("a",), recipes=("x", "broken", "fragile", "deadly")).cells(tmp_path)
    executor = RayExecutor(workers=2, retries=2)
    records = run_cells(cells, toys.TraceRunner(trace), tmp_path / "runs", executor=executor)
    statuses = [record.status for record in records]
    assert statuses == ["done", "failed", "done", "failed"], records[2].reason
    assert records[2] == toys.record(cells[2])
    assert "no such recipe" in records[1].reason
    assert "died" in records[3].reason
