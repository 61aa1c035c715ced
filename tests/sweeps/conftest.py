"""A runner that records without computing, and a grid for it."""

import runpy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bitscape.evaluation import Report, silent
from bitscape.laws import RunRecord
from bitscape.sweeps import Cell, Cost, Grid

# No package holds the tests: what other processes import lies in a file of its own.
record = runpy.run_path(str(Path(__file__).with_name("toy_workers.py")))["record"]


@dataclass
class ToyRunner:
    """Pretends to run; `broken` models fail, and `before` is called with each cell first."""

    broken: frozenset[str] = frozenset()
    before: Callable[[Cell], None] = lambda cell: None
    ran: list[str] = field(default_factory=list)

    def run(self, cell: Cell, report: Report = silent) -> RunRecord:
        self.before(cell)
        self.ran.append(cell.key)
        if cell.model in self.broken:
            raise ValueError(f"no model {cell.model!r}:\nchoose another")
        return record(cell)

    def probe(self, cell: Cell) -> Cost:
        return Cost(seconds=10.0, disk_bytes=1000, memory_bytes=5000)

    def quantize_seconds(self, cell: Cell) -> float:
        return 1.0


@pytest.fixture
def runner() -> ToyRunner:
    return ToyRunner()


@pytest.fixture
def cells(tmp_path) -> list[Cell]:
    """Eight cells: two models, two recipes, two seeds."""
    return Grid(models=("a", "b"), recipes=("x", "y"), seeds=(0, 1)).cells(tmp_path)
