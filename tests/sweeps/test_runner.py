"""What a cell says while it runs, and what its failure leaves."""

import warnings

import pytest

from bitscape.evaluation import Report
from bitscape.laws import RunRecord
from bitscape.sweeps import Cell, Cost, Grid
from bitscape.sweeps.runner import Attempt


class Warned:
    """Warns, and fails."""

    def run(self, cell: Cell, report: Report) -> RunRecord:
        warnings.warn("the run may diverge", stacklevel=2)
        raise ValueError("no such\n  recipe")

    def probe(self, cell: Cell) -> Cost:
        return Cost(seconds=1.0, disk_bytes=0, memory_bytes=1)

    def quantize_seconds(self, cell: Cell) -> float:
        return 0.0


@pytest.mark.filterwarnings("default")
def test_a_warning_names_its_cell_and_a_failure_its_reason(tmp_path, capsys) -> None:
    first, second = Grid(models=("a",), recipes=("x",), seeds=(3, 4)).cells(tmp_path)
    attempt = Attempt(Warned())
    record = attempt(first)
    assert (record.status, record.reason) == ("failed", "ValueError: no such recipe")
    attempt(second)
    assert capsys.readouterr().err.splitlines() == [
        "a x, seed 3: the run may diverge",
        "a x, seed 4: the run may diverge",
    ]
