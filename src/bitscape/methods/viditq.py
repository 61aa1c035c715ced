"""ViDiT-Q: static channel balance, then a rotation, with activations rounded for each token.

Zhao et al., "ViDiT-Q: Efficient and Accurate Quantization of Diffusion Transformers for Image and
Video Generation", arXiv:2406.02540.

    dynamic scales for each token (sec. 3.1)            quantizers.dynamic_grid
    balance s = max|X|^a / max|W|^(1 - a) (sec. 3.2)    algorithms.smoothquant_scale
    static balance, then rotation (sec. 3.2)            passes.Rotate, behind the balance

Deviations. The paper's first version balances anew in each range of timesteps, which needs weights
for each range; that is outside the normal form and left out, as it is in the paper's later version.
Scales are found for each sample and token, where the public code shares them over the batch. Its
mixed precision is a matter of allocation, not of this method.

Cost. One sweep over the calibration calls. At run time a transform of n log n additions before qkv
and fc1, and the search for each token's range.

Use. For diffusion transformers whose activations change with the timestep, without step tables.
"""

from dataclasses import dataclass
from typing import ClassVar

from bitscape.methods.base import Method
from bitscape.passes import (
    BEHIND_NORMS,
    Nearest,
    Pass,
    QuantizeActivations,
    QuantizeWeights,
    Rotate,
    TransformInputs,
)


@dataclass(frozen=True)
class ViDiTQ(Method):
    """Balance and rotation behind norms, round to nearest."""

    summary: ClassVar[str] = (
        "Channel balance, then rotation, with a scale for each token: for diffusion transformers."
    )
    schemes: ClassVar[tuple[str, ...]] = ("W8A8", "W6A6", "W4A8", "W4A4", "FP8_DYNAMIC")

    alpha: float = 0.5
    range: str = "minmax"

    def passes(self) -> list[Pass]:
        """Balance and rotation, weights, then activations."""
        activations = QuantizeActivations()
        balance = TransformInputs(
            (Rotate((self.alpha,)),),
            activations,
            accept="first",
            roles=BEHIND_NORMS,
            online=True,
            sequential=False,
        )
        return [balance, QuantizeWeights(Nearest(self.range)), activations]
