"""Which cell comes next, and whether the memory for it is free."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bitscape.sweeps.executor import Needs
from bitscape.sweeps.grid import Cell


@dataclass
class Schedule:
    """Cells that wait and cells that run, under a limit of memory.

    The needs of the cells that run never add up to more than `memory`; a cell that exceeds it by
    itself runs alone.
    """

    cells: Sequence[Cell]
    needs: Needs
    memory: int
    waiting: list[Cell] = field(init=False)
    running: dict[str, tuple[Cell, int]] = field(default_factory=dict, init=False)
    lonely: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self.waiting = list(self.cells)

    def take(self, last: Cell | None) -> Cell | None:
        """The next cell for a worker that ran `last`; None when none fits now.

        It prefers what it has in memory, the same quantized model before the same model, and leaves
        to other workers what they have.
        """
        for cell in sorted(self.waiting, key=lambda cell: self.distance(cell, last)):
            need = self.memory if cell.key in self.lonely else self.needs(cell)
            used = sum(bytes_ for _, bytes_ in self.running.values())
            if not self.running or used + need <= self.memory:
                self.waiting.remove(cell)
                self.running[cell.key] = cell, need
                return cell
        return None

    def distance(self, cell: Cell, last: Cell | None) -> tuple[bool, bool, bool, bool]:
        """How little a worker that ran `last` is the one for `cell`."""
        others = [other for other, _ in self.running.values()]
        return (
            last is None or _quantized(cell) != _quantized(last),
            _quantized(cell) in map(_quantized, others),
            last is None or cell.model != last.model,
            cell.model in {other.model for other in others},
        )

    def finish(self, cell: Cell) -> None:
        """`cell` runs no more."""
        del self.running[cell.key]

    def again(self, cell: Cell) -> None:
        """`cell` was lost: it comes next, and alone, since too little memory may be the cause."""
        self.finish(cell)
        self.lonely.add(cell.key)
        self.waiting.insert(0, cell)


def _quantized(cell: Cell) -> tuple[str, str, int]:
    """What decides the quantized model of a cell."""
    return cell.model, cell.recipe_digest or cell.recipe, cell.seed
