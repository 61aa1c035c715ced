"""Weights that are learnt in units of their step size, together with the step size.

Liu et al., "DilateQuant", arXiv:2409.14307, section 4.3, trains the weights of a block with their
scales. A rate of 0.01 would destroy weights of that size; in units of the step it is a hundredth of
a code.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bitscape.algorithms.rounding import into_cell
from bitscape.formats import TensorScheme
from bitscape.passes.learner import Codes, Learned, Matrix, SeededLearner
from bitscape.passes.rounders import Rounded, range_rule
from bitscape.quantizers import (
    Grid,
    from_groups,
    lsq_quantize,
    quantize_weight,
    round_scale,
    stored_scale,
    to_groups,
    weight_grid,
)


@dataclass(frozen=True)
class InSteps(SeededLearner):
    """Each weight moves by v steps of its grid, and each step size grows by a factor exp(a).

    `rate` is that of v, `scale_rate` that of a. With `greedy` every weight starts inside the cell
    of the code that GPTQ gave it, else at its float value.
    """

    range: str = "mse"
    rate: float = 0.01
    scale_rate: float = 0.001

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate <= 0 or self.scale_rate < 0:
            raise ValueError(
                f"weights need a positive rate and their scales none below zero, got {self.rate} "
                f"and {self.scale_rate}"
            )

    def start(self, W: Matrix, scheme: TensorScheme, codes: Codes | None = None) -> "Moving":
        """No movement, or that into GPTQ's cells."""
        return Moving(W, scheme, self, codes)


class Moving(Learned):
    """The movement of each weight, in steps, and the growth of each step."""

    scale: Tensor
    zero: Tensor | None

    def __init__(
        self, W: Matrix, scheme: TensorScheme, learner: InSteps, codes: Codes | None
    ) -> None:
        super().__init__(scheme)
        self.learner = learner
        grid = weight_grid(W, scheme, range_rule(learner.range))
        self.register_buffer("scale", grid.scale)
        self.register_buffer("zero", grid.zero)
        grouped = to_groups(W, scheme.granularity)
        moved = torch.zeros_like(grouped)
        if codes is not None:
            taken = scheme.format.decode(to_groups(codes, scheme.granularity))
            placed = grouped / grid.scale + (0 if grid.zero is None else grid.zero)
            moved = into_cell(placed, taken, scheme.format) - placed
        self.v = nn.Parameter(moved)
        self.growth = nn.Parameter(torch.zeros_like(grid.scale))

    def weight(self, W: Matrix) -> Matrix:
        """`W` moved and rounded to nearest, with the gradients of LSQ."""
        grid = self._grid()
        scale = stored_scale(grid, self.scheme)
        moved = to_groups(W, self.scheme.granularity) + self.scale * self.v
        rounded = lsq_quantize(moved, scale, grid.zero, self.scheme.format)
        return from_groups(rounded, W.shape, self.scheme.granularity)

    @torch.no_grad()
    def rounded(self, W: Matrix) -> Rounded:
        """`W` moved, to nearest."""
        grid = round_scale(self._grid(), self.scheme)
        grouped = to_groups(W, self.scheme.granularity) + self.scale * self.v
        placed = from_groups(grouped, W.shape, self.scheme.granularity)
        codes = quantize_weight(placed, grid, self.scheme)
        moved = float(self.v.square().mean().sqrt())
        return Rounded(codes, grid, {"moved": moved})

    def _grid(self) -> Grid:
        # Adam moves every parameter by the rate of v; the factor makes that the rate of the scale.
        growth = self.growth * (self.learner.scale_rate / self.learner.rate)
        return Grid(self.scale * growth.exp(), self.zero)
