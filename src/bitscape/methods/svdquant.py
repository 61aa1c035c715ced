"""SVDQuant: a 16-bit low-rank branch takes what is hard to round, 4 bits the rest.

Li et al., "SVDQuant: Absorbing Outliers by Low-Rank Components for 4-Bit Diffusion Models",
arXiv:2411.05007.

    X^ = X / s, W^ = s W (sec. 4.2, eq. 5)               passes.TransformInputs, Smooth
    W^ = L1 L2 + R by truncated SVD (eq. 6, 8)           algorithms.lowrank.truncated_svd
    X W = X^ L1 L2 + Q(X^) Q(R) (eq. 7)                  nn.QuantLinear.contract
    the SVD of W^ - Q(R), and R again (sec. 4.2)         algorithms.lowrank.residual_branch
    GPTQ on the residual (sec. 5)                        passes.Greedy, `gptq`

Deviations. The rank is a share of the width (1/32, at least one) unless it is given: the paper's 32
would be most of a narrow layer. Factors are rounded to bfloat16 before the residual is taken, which
makes up for it. The branch reads u in its own precision, not the rounded u, as in the paper. Its
kernel fusion (Nunchaku) is not part of this package.

Cost. A sweep for the scales and one for the Hessians, and for each weight `rounds` singular value
decompositions. Stored: 16 rank (1/m + 1/n) bits more for each weight of an m x n layer, counted by
`inspect`; at run time two thin products.

Use. At 4 bits for both weights and activations of diffusion transformers.
"""

from dataclasses import dataclass
from typing import ClassVar

from bitscape.methods.base import Method
from bitscape.methods.schemes import COMMON
from bitscape.passes import (
    BEHIND_NORMS,
    GRID,
    Greedy,
    Index,
    Nearest,
    Pass,
    QuantizeActivations,
    QuantizeWeights,
    Smooth,
    SplitLowRank,
    TransformInputs,
)


@dataclass(frozen=True)
class SVDQuant(Method):
    """Smoothing, a low-rank branch, the residual to nearest or by GPTQ."""

    summary: ClassVar[str] = "A 16-bit low-rank branch takes what is hard to round: for W4A4."
    schemes: ClassVar[tuple[str, ...]] = COMMON

    rank: int = 0
    share: float = 1 / 32
    rounds: int = 10
    gptq: bool = True
    activation_range: str = "minmax"
    activation_index: Index = "none"

    def __post_init__(self) -> None:
        if self.rank < 0 or not 0 < self.share <= 1 or self.rounds < 1:
            raise ValueError(
                "svdquant takes a rank of 0 (by share) or more, a share in (0, 1] and at least one "
                f"round, got {self.rank}, {self.share} and {self.rounds}"
            )

    def passes(self) -> list[Pass]:
        """Scales, branches, weights, then activations."""
        activations = QuantizeActivations(self.activation_range, self.activation_index)
        smoothing = TransformInputs((Smooth(GRID),), activations, roles=BEHIND_NORMS)
        return [
            smoothing,
            SplitLowRank(self.rank, self.share, self.rounds),
            QuantizeWeights(Greedy() if self.gptq else Nearest()),
            activations,
        ]
