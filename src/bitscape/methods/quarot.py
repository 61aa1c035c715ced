"""QuaRot: rotates inputs by Hadamard matrices, which spreads outliers over all channels.

Ashkboos et al., "QuaRot: Outlier-Free 4-Bit Inference in Rotated LLMs", arXiv:2404.00456.

    X W^T = (X R) (W R)^T, R randomised Hadamard (sec. 3)  nn.QuantLinear.rotate, nn.hadamard
    orders 2^n m by Kronecker products (sec. 3)            nn.hadamard, Sylvester and Paley
    values to projection, head by head (stage 1c)          Fold.turn: offline, no work at run time
    before the down projection (stage 1b)                  prologue, fused with the rounding
    weights by GPTQ (sec. 4)                               algorithms.gptq

Deviations. The residual stream is not rotated (stage 1a): AdaLN scales each channel between the
norm and the layer, so a rotation cannot pass it; inputs of qkv and fc1 are rotated at run time
instead. Queries, keys and the cache stay in 16 bits. Widths without a Hadamard matrix are rotated
in runs of their largest divisor that has one.

Cost. That of GPTQ. At run time a transform of n log n additions before qkv, fc1 and fc2, none
before the projection.

Use. At 4-bit activations, where a scale for each channel cannot save a token with outliers.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from bitscape.methods.base import Method
from bitscape.methods.schemes import INPUTS
from bitscape.passes import (
    Greedy,
    Index,
    Nearest,
    Pass,
    QuantizeActivations,
    QuantizeWeights,
    Rotate,
    TransformInputs,
)


@dataclass(frozen=True)
class QuaRot(Method):
    """A rotation before every linear layer with a fold, then GPTQ or round to nearest."""

    summary: ClassVar[str] = (
        "Hadamard rotations spread outliers over all channels: for 4-bit activations."
    )
    schemes: ClassVar[tuple[str, ...]] = INPUTS

    rounding: Literal["gptq", "rtn"] = "gptq"
    range: str = "mse"
    activation_range: str = "minmax"
    activation_index: Index = "none"

    def passes(self) -> list[Pass]:
        """Rotations, weights, then activations."""
        activations = QuantizeActivations(self.activation_range, self.activation_index)
        rotation = TransformInputs(
            (Rotate(),), activations, accept="first", online=True, sequential=False
        )
        rounder = Nearest(self.range) if self.rounding == "rtn" else Greedy(range=self.range)
        return [rotation, QuantizeWeights(rounder), activations]
