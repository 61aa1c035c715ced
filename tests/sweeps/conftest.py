"""A runner that records without computing, and a grid for it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from bitscape.evaluation import Report, silent
from bitscape.laws import Bits, Quality, RunRecord
from bitscape.sweeps import Cell, Cost, Grid


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
        return toy_record(cell)

    def probe(self, cell: Cell) -> Cost:
        return Cost(seconds=10.0, disk_bytes=1000, memory_bytes=5000)

    def quantize_seconds(self, cell: Cell) -> float:
        return 1.0


def toy_record(cell: Cell) -> RunRecord:
    return RunRecord(
        key=cell.key,
        model=cell.model,
        recipe=cell.recipe,
        method="rtn",
        scheme="W4A16",
        seed=cell.seed,
        evaluation=cell.evaluation.model_dump(mode="json"),
        status="done",
        bits=Bits(
            nominal_weight=4, actual_weight=4, nominal_model=100, actual_model=100, compute=1
        ),
        quality=Quality(protocol="toy", n=4, seeds=(0,), metrics={"nll": len(cell.key)}),
        seconds=2.0,
        quantize_seconds=0.5,
        version="0",
        commit=None,
        machine="toy",
        created="2026-01-01T00:00:00+00:00",
    )


@pytest.fixture
def runner() -> ToyRunner:
    return ToyRunner()


@pytest.fixture
def cells(tmp_path) -> list[Cell]:
    """Eight cells: two models, two recipes, two seeds."""
    return Grid(models=("a", "b"), recipes=("x", "y"), seeds=(0, 1)).cells(tmp_path)
