"""Where cells run. An executor hands out cells and yields records as they finish, in any order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from bitscape.laws import RunRecord
from bitscape.sweeps.grid import Cell

RunCell = Callable[[Cell], RunRecord]
"""Runs one cell and never raises for the cell's own failure; can be sent to another process."""


@runtime_checkable
class Executor(Protocol):
    """A way to run cells.

    It may run several at once. Records go back to the one process that writes the file, so an
    executor needs no shared log.
    """

    def run(self, attempt: RunCell, cells: Sequence[Cell]) -> Iterator[RunRecord]:
        """The record of each cell, as soon as it exists."""
        ...


class LocalExecutor:
    """One cell after the other, in this process."""

    def run(self, attempt: RunCell, cells: Sequence[Cell]) -> Iterator[RunRecord]:
        """The records in the order of the cells; nothing is computed ahead of the reader."""
        for cell in cells:
            yield attempt(cell)


EXECUTORS: Mapping[str, Executor] = MappingProxyType({"local": LocalExecutor()})


def find_executor(name: str) -> Executor:
    """The executor called `name`; ValueError listing those that exist."""
    if name not in EXECUTORS:
        raise ValueError(f"no executor {name!r}: choose one of {', '.join(sorted(EXECUTORS))}")
    return EXECUTORS[name]
