"""A process that runs cells for another one, and ends with it."""

import os
import pickle
import signal
import threading
import time
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait

import torch

from bitscape.laws import RunRecord
from bitscape.sweeps.executor import RunCell
from bitscape.sweeps.grid import Cell

_REPORT_SECONDS = 0.2

Message = RunRecord | tuple[str, int, int]


class Worker:
    """A fresh process with `threads` threads. `cell` is what it runs, `last` what it ran before."""

    def __init__(self, attempt: RunCell, threads: int) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        # Pickled here: multiprocessing would move tensors to shared memory instead.
        work = pickle.dumps(attempt)
        self.process = context.Process(target=_serve, args=(theirs, work, threads), daemon=True)
        self.process.start()
        theirs.close()  # so that the end of the process ends the connection
        self.cell: Cell | None = None
        self.last: Cell | None = None

    def give(self, cell: Cell) -> None:
        """Start `cell`. A worker that died meanwhile shows it in `receive`."""
        self.cell = cell
        try:
            self.connection.send(cell)
        except OSError:
            return

    def receive(self) -> Message | None:
        """What it has to say: progress or a record; None when it died."""
        try:
            message: Message = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            return None
        if isinstance(message, RunRecord):
            self.last, self.cell = self.cell, None
        return message

    def dismiss(self) -> None:
        """End the process at once, and wait until its memory is free."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def first_message(workers: list[Worker]) -> Worker:
    """One of `workers` that has something to say; waits for it."""
    speaking = wait([worker.connection for worker in workers])[0]
    return next(worker for worker in workers if worker.connection is speaking)


def _serve(connection: Connection, work: bytes, threads: int) -> None:
    # An interruption is for the process that writes the records; it ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    attempt: RunCell = pickle.loads(work)
    report = _Reporter(connection)
    while True:
        cell: Cell = connection.recv()
        connection.send(attempt(cell, report))


def _end_with_parent() -> None:
    """Without its parent a worker would go on with a cell that the next sweep begins anew."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


class _Reporter:
    """Sends progress, a few times a second at most."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.spoken = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        if time.monotonic() - self.spoken > _REPORT_SECONDS or done == total:
            self.spoken = time.monotonic()
            self.connection.send((stage, done, total))
