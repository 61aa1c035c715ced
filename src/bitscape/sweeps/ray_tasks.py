"""Cells on a Ray cluster: one task a cell, run again when its worker or its machine is lost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bitscape.evaluation import Report, silent
from bitscape.laws import RunRecord
from bitscape.sweeps.executor import Needs, RunCell
from bitscape.sweeps.grid import Cell
from bitscape.sweeps.runner import failed


@dataclass(frozen=True)
class RayExecutor:
    """Tasks of `threads` CPUs each, run again up to `retries` times when their worker is lost.

    `address` names a cluster ("auto" the one of this machine); None starts one here, for `workers`
    tasks at once (None: as many as there are CPUs). Records come back to this process, which alone
    writes them. Samples stay where a task ran, below the folder of the sweep.
    """

    address: str | None = None
    workers: int | None = None
    threads: int = 1
    retries: int = 3

    def run(
        self, attempt: RunCell, cells: Sequence[Cell], needs: Needs, report: Report
    ) -> Iterator[RunRecord]:
        """The records as tasks finish; a cell that was lost more than `retries` times fails.

        Progress inside a cell is not reported. Memory is left to Ray, which ends and repeats tasks
        where it runs out.
        """
        del needs, report
        if not cells:
            return
        ray = _ray()
        cpus = None if self.workers is None else self.workers * self.threads
        try:
            ray.init(address=self.address, num_cpus=cpus, log_to_driver=False)
        except ConnectionError as error:
            raise ValueError(
                f"no Ray cluster at {self.address}: start one with `ray start --head`"
            ) from error
        try:
            # A task that raises has failed for good; what is repeated is a lost worker.
            task = ray.remote(num_cpus=self.threads, max_retries=self.retries)(_run)
            shared = ray.put(attempt)
            open_tasks = {task.remote(shared, cell, self.threads): cell for cell in cells}
            while open_tasks:
                (done,), _ = ray.wait(list(open_tasks), num_returns=1)
                yield _record(ray, done, open_tasks.pop(done))
        finally:
            ray.shutdown()


def _run(attempt: RunCell, cell: Cell, threads: int) -> RunRecord:
    torch.set_num_threads(threads)
    return attempt(cell, silent)


def _record(ray: Any, task: Any, cell: Cell) -> RunRecord:
    try:
        found: RunRecord = ray.get(task)
    except ray.exceptions.RayError as error:
        return failed(cell, error, 0.0)
    return found


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ValueError(
            "the executor ray needs Ray: install it with pip install 'bitscape[ray]'"
        ) from error
    return ray
