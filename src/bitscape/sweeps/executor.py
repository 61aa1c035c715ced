"""Where cells run. An executor hands out cells and yields records as they finish, in any order."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from bitscape.evaluation import Report
from bitscape.laws import RunRecord
from bitscape.sweeps.grid import Cell

RunCell = Callable[[Cell, Report], RunRecord]
"""Runs one cell and never raises for the cell's own failure; can be sent to another process."""

Needs = Callable[[Cell], int]
"""Bytes of memory that a process needs to run a cell."""


@runtime_checkable
class Executor(Protocol):
    """A way to run cells.

    It may run several at once. Records go back to the one process that writes the file, so an
    executor needs no shared log.
    """

    def run(
        self, attempt: RunCell, cells: Sequence[Cell], needs: Needs, report: Report
    ) -> Iterator[RunRecord]:
        """The record of each cell, as soon as it exists."""
        ...
