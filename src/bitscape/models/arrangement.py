"""The order in which a sequence model reads and writes the cells of a token map."""

from dataclasses import dataclass

NOTHING = -1
"""In `Arrangement.reads`: the position reads no token but an embedding of its own."""


@dataclass(frozen=True)
class Arrangement:
    """For each position of the sequence, the cells it reads and writes and its sampling step.

    The input at position p is the token of cell `reads[p]`, the output predicts that of cell
    `writes[p]`. All positions of one step are computed in one call, and a position attends to every
    position of its own and of earlier steps.
    """

    reads: tuple[int, ...]
    writes: tuple[int, ...]
    steps: tuple[int, ...]

    @property
    def spans(self) -> list[slice]:
        """The positions of each step, in order."""
        starts = [p for p, step in enumerate(self.steps) if p == 0 or step != self.steps[p - 1]]
        return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(self.steps)], strict=True)]

    @property
    def fixed(self) -> list[int]:
        """The positions that read an embedding of their own."""
        return [p for p, cell in enumerate(self.reads) if cell == NOTHING]

    @property
    def runs(self) -> tuple[int, ...]:
        """First steps of the runs whose inputs are alike.

        Steps up to the last that reads an embedding of its own stand alone; the rest, which read
        tokens of the image, are one run.
        """
        return tuple(range(self.steps[self.fixed[-1]] + 2))


def parallel(side: int, regions: int) -> Arrangement:
    """The first cell of each region one by one, then one cell of every region at a time.

    Wang et al., "Parallelized Autoregressive Visual Generation", arXiv 2412.15119, section 3.2. The
    map is cut into sqrt(regions) x sqrt(regions) equal regions. Position 0 reads the class; the
    last of the first tokens and regions - 1 learned embeddings together write the next cells. With
    one region this is raster order, a position a step.
    """
    across = round(regions**0.5)
    if across**2 != regions or side % across:
        raise ValueError(
            f"{regions} regions do not tile a map of {side} x {side}: choose the square of a "
            f"divisor of {side}"
        )
    part = side // across
    corners = [(row * part, column * part) for row in range(across) for column in range(across)]
    inner = [(row, column) for row in range(part) for column in range(part)]
    order = tuple((y + row) * side + x + column for row, column in inner for y, x in corners)
    opening = (NOTHING, *order[:regions], *[NOTHING] * (regions - 1))
    steps = (*range(regions), *(p // regions + regions - 1 for p in range(regions, len(order))))
    return Arrangement((*opening, *order[regions:-regions]), order, steps)
