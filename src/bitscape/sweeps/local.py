"""Cells on this machine: one after the other, or in several processes as far as memory goes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from bitscape.evaluation import Report
from bitscape.laws import RunRecord
from bitscape.sweeps.executor import Needs, RunCell
from bitscape.sweeps.grid import Cell
from bitscape.sweeps.memory import free_memory
from bitscape.sweeps.runner import failed
from bitscape.sweeps.schedule import Schedule
from bitscape.sweeps.worker import Worker, first_message

# What is left for everything else on the machine.
_SHARE = 0.9


@dataclass(frozen=True)
class LocalExecutor:
    """Up to `workers` processes of `threads` threads; a single one is this process itself.

    The threads of a worker do not follow from the number of workers, because sums may depend on
    them in their last bits: a cell has the same result however many run beside it. `memory` bounds
    what all workers need together, in bytes; None takes nine tenths of what is free at the start.
    """

    workers: int = 1
    threads: int = 1
    memory: int | None = None

    def run(
        self, attempt: RunCell, cells: Sequence[Cell], needs: Needs, report: Report
    ) -> Iterator[RunRecord]:
        """The records, those of one worker in the order of the cells.

        A cell whose process dies is run once more, with no other beside it, and fails if it dies
        again.
        """
        if min(self.workers, len(cells)) <= 1:
            yield from self._here(attempt, cells, report)
            return
        memory = int(_SHARE * free_memory()) if self.memory is None else self.memory
        crew = _Crew(self.workers, self.threads, attempt, Schedule(cells, needs, memory), report)
        try:
            yield from crew.records()
        finally:
            crew.dismiss()

    def _here(self, attempt: RunCell, cells: Sequence[Cell], report: Report) -> Iterator[RunRecord]:
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            for cell in cells:
                yield attempt(cell, report)
        finally:
            torch.set_num_threads(before)


@dataclass
class _Crew:
    """The workers of one sweep."""

    size: int
    threads: int
    attempt: RunCell
    schedule: Schedule
    report: Report
    workers: list[Worker] = field(default_factory=list)

    def records(self) -> Iterator[RunRecord]:
        """Hand out cells until none is left."""
        self._hand_out()
        while busy := [worker for worker in self.workers if worker.cell is not None]:
            worker = first_message(busy)
            cell, message = worker.cell, worker.receive()
            assert cell is not None
            if isinstance(message, tuple):
                self.report(*message)
                continue
            if message is None:
                message = self._lost(worker, cell)
            else:
                self.schedule.finish(cell)
            # Written before more is begun: a kill repeats no more cells than there are workers.
            if message is not None:
                yield message
            self._hand_out()

    def dismiss(self) -> None:
        """End every process."""
        for worker in self.workers:
            worker.dismiss()
        self.workers.clear()

    def _hand_out(self) -> None:
        for worker in [worker for worker in self.workers if worker.cell is None]:
            cell = self.schedule.take(worker.last)
            if cell is None:
                # What it keeps in memory may be what the next cell lacks.
                self._remove(worker)
            else:
                worker.give(cell)
        while len(self.workers) < self.size:
            cell = self.schedule.take(None)
            if cell is None:
                return
            self.workers.append(Worker(self.attempt, self.threads))
            self.workers[-1].give(cell)

    def _lost(self, worker: Worker, cell: Cell) -> RunRecord | None:
        """The record of a cell that was lost twice; None when it gets another chance."""
        code = worker.process.exitcode or 0
        self._remove(worker)
        if cell.key not in self.schedule.lonely:
            self.schedule.again(cell)
            return None
        self.schedule.finish(cell)
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        reason = f"its process {how}, twice, the second time alone: is there too little memory?"
        return failed(cell, RuntimeError(reason), 0.0)

    def _remove(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.dismiss()
