"""AWQ: scales up the weight columns that meet large activations, so that they round finer.

Lin et al., "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration",
arXiv:2306.00978.

    Q(w s) x / s (eq. 2)                              nn.QuantLinear.affine
    s = mean|X|^alpha, alpha on a grid (eq. 5)        algorithms.awq_scale, passes.MeanSmooth
    alpha by |Q(W diag(s)) diag(s)^-1 X - W X| (eq. 4) algorithms.output_error, passes.FoldView
    clipping by squared error (official code)         quantizers.ranges, `range` "mse"

Deviations. The search also rounds activations where the scheme does, and keeps no scaling where
none is best. Ranges are searched by the error of the weights alone; the official code searches them
by that of outputs. Between attention and projection a scale for each value channel is folded; the
official code does so only when their widths agree, which they always do here.

Cost. One sweep over the calibration calls and twenty roundings of each layer that a producer can
scale for. Nothing at run time.

Use. For weight-only groups of 4 and 3 bits; GPTQ rounds better and can follow on the same scales.
"""

from dataclasses import dataclass
from typing import ClassVar

from bitscape.methods.base import Method
from bitscape.methods.schemes import ASYMMETRIC, COMMON
from bitscape.passes import (
    GRID,
    Index,
    MeanSmooth,
    Nearest,
    Pass,
    QuantizeActivations,
    QuantizeWeights,
    TransformInputs,
)


@dataclass(frozen=True)
class AWQ(Method):
    """Activation-aware scaling wherever a producer absorbs it, then round to nearest.

    `steps` is the number of exponents tried, from 0 up to but not including 1.
    """

    summary: ClassVar[str] = (
        "Columns that meet large inputs round finer: weight-only, without touching the rounding."
    )
    schemes: ClassVar[tuple[str, ...]] = (*ASYMMETRIC, *COMMON)

    steps: int = 20
    range: str = "mse"
    activation_range: str = "minmax"
    activation_index: Index = "none"

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= len(GRID) * 10:
            raise ValueError(f"a grid of 1 to {len(GRID) * 10} exponents is needed: {self.steps}")

    def passes(self) -> list[Pass]:
        """Scales, weights, then activations."""
        activations = QuantizeActivations(self.activation_range, self.activation_index)
        alphas = tuple(i / self.steps for i in range(self.steps))
        scaling = TransformInputs((MeanSmooth(alphas),), activations)
        return [scaling, QuantizeWeights(Nearest(self.range)), activations]
