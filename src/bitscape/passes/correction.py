"""A low-rank correction of a weight that is learnt in its place, and merged before the rounding.

    W^ = Q(W + D),  D_t = B_t A_t for each tap t of a kernel; a matrix has one tap

He et al., "EfficientDM", arXiv:2310.03270, sec. 4.2; per tap as in MPQ-DM, arXiv:2412.11549.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Correction(nn.Module):
    """D, zero at the start: A is uniform up to one over the root of the fan-in, B is zero.

    A rank above what the matrices of `shape`, (out, in) or (out, in, kh, kw), can have is lowered
    to that.
    """

    def __init__(self, shape: tuple[int, ...], rank: int, generator: torch.Generator) -> None:
        super().__init__()
        out, inner, taps = shape[0], shape[1], math.prod(shape[2:])
        rank = min(rank, out, inner)
        reach = (inner * taps) ** -0.5
        down = torch.rand(taps, rank, inner, generator=generator).mul_(2 * reach).sub_(reach)
        self.down = nn.Parameter(down)
        self.up = nn.Parameter(torch.zeros(taps, out, rank))

    def forward(self) -> Float[Tensor, "out columns"]:
        """D as a matrix, with the taps of an input channel beside one another."""
        return (self.up @ self.down).permute(1, 2, 0).flatten(1)
