import time

import pytest

from bitscape.laws import load
from bitscape.sweeps import RECORDS, run_cells


class Killed(BaseException):
    """Stands for a signal: nothing in the library may catch it."""


def test_every_cell_runs_once(cells, runner, tmp_path) -> None:
    records = run_cells(cells, runner, tmp_path)
    again = run_cells(cells, runner, tmp_path)
    assert runner.ran == [cell.key for cell in cells]
    assert again == records == load(tmp_path / RECORDS)


@pytest.mark.parametrize("finished", [0, 3, 7])
def test_a_killed_sweep_continues_with_the_cell_it_was_in(
    cells, runner, tmp_path, finished
) -> None:
    def kill(cell) -> None:
        if len(runner.ran) == finished:
            raise Killed

    runner.before = kill
    with pytest.raises(Killed):
        run_cells(cells, runner, tmp_path)
    runner.before = lambda cell: None
    run_cells(cells, runner, tmp_path)
    assert runner.ran == [cell.key for cell in cells]


def test_a_torn_last_line_is_run_again(cells, runner, tmp_path) -> None:
    records = run_cells(cells, runner, tmp_path)
    path = tmp_path / RECORDS
    path.write_bytes(path.read_bytes()[:-20])
    runner.ran.clear()
    assert run_cells(cells, runner, tmp_path) == records
    assert runner.ran == [cells[-1].key]
    assert load(path) == records


def test_a_failed_cell_is_recorded_with_its_reason_and_the_rest_runs(
    cells, runner, tmp_path
) -> None:
    runner.broken = frozenset("a")
    records = run_cells(cells, runner, tmp_path)
    assert [record.status for record in records] == ["failed"] * 4 + ["done"] * 4
    assert records[0].reason == "ValueError: no model 'a': choose another"
    runner.ran.clear()
    run_cells(cells, runner, tmp_path)
    assert runner.ran == []


def test_a_record_that_json_cannot_hold_fails_its_cell_only(
    cells, runner, tmp_path, monkeypatch
) -> None:
    whole = type(runner).run

    def broken(self, cell, report):
        record = whole(self, cell, report)
        if cell == cells[0]:
            record.quality.metrics["nll"] = float("nan")
        return record

    monkeypatch.setattr(type(runner), "run", broken)
    records = run_cells(cells, runner, tmp_path)
    assert [record.status for record in records] == ["failed"] + ["done"] * 7


def test_failed_cells_are_retried_when_asked(cells, runner, tmp_path) -> None:
    runner.broken = frozenset("a")
    run_cells(cells, runner, tmp_path)
    runner.broken = frozenset()
    records = run_cells(cells, runner, tmp_path, retry_failed=True)
    assert all(record.status == "done" for record in records)
    assert len(load(tmp_path / RECORDS)) == 12


def test_progress_counts_over_the_grid_and_foresees_the_end(cells, runner, tmp_path) -> None:
    run_cells(cells[:2], runner, tmp_path)
    seen = []
    runner.before = lambda cell: time.sleep(0.01)
    run_cells(cells, runner, tmp_path, watch=seen.append)
    assert [state.done for state in seen] == [2, 3, 4, 5, 6, 7, 8]
    assert {state.total for state in seen} == {8}
    assert seen[0].remaining_seconds is None
    assert seen[1].remaining_seconds > seen[-2].remaining_seconds > 0
    assert seen[-1].remaining_seconds == 0


def test_two_sweeps_do_not_share_a_folder(cells, runner, tmp_path) -> None:
    def second(cell) -> None:
        with pytest.raises(ValueError, match="another sweep is writing"):
            run_cells(cells, type(runner)(), tmp_path)

    runner.before = second
    assert len(run_cells(cells, runner, tmp_path)) == 8
