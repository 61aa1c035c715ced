"""OmniQuant: learnt ends of the weights' ranges and a learnt basis of the inputs, block by block.

Shao et al., "OmniQuant: Omnidirectionally Calibrated Quantization for Large Language Models",
arXiv:2308.13137.

    scale = (g max W - b min W) / (2^n - 1) (eq. 2)      passes.learned.Clipping
    Y = (X - d) / s . (s W) + (B + W d) (eq. 3, 4)       passes.learned.LearnedLayer, Affine
    start: SmoothQuant's s, d the middle (sec. 4)        passes.learned.starting_affine
    block-wise error, AdamW (eq. 1)                      passes.Reconstruct
    both fused away afterwards (sec. 3.3)                QuantLinear.affine, Fold.push

Deviations. Eq. 3 is printed as B + W; it takes the d. g and b are sigmoids over their first value,
so that training starts at round-to-nearest exactly; official code starts at 0.982. s is learnt as
its logarithm and stays positive. The basis is learnt only where inputs are rounded; the scale
between queries and keys is left out, which VAR's normalised attention does not admit. Ranges start
at the mean-squared-error ones. The paper takes 20 epochs of 128 samples: 2,560 steps a block, of
which a few hundred are taken here, by Adam without decay and with a rate that falls to zero. A
block that ends worse than it began keeps its start. Sites outside of blocks are rounded by GPTQ.

Cost. As AdaRound, with two numbers a row or group in place of one a weight. Nothing at run time.

Use. Where both weights and activations are rounded: on the small VAR at W4A4 100 steps take the
loss above full precision from 1.00 nats (RTN) to 0.74. For weights alone it is little more than a
better range search than `mse` (1.97 to 1.91 at W3A16), and GPTQ is better in both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from bitscape.methods.base import Method
from bitscape.methods.calibrations import SMALL_CALLS
from bitscape.methods.schemes import COMMON
from bitscape.passes import Clip, Pass, QuantizeActivations, Reconstruct


@dataclass(frozen=True)
class OmniQuant(Method):
    """Learnt clipping and change of basis, activations as in RTN."""

    summary: ClassVar[str] = "Learns weight ranges and input scales, block by block: minutes."
    schemes: ClassVar[tuple[str, ...]] = COMMON
    calibration: ClassVar[Mapping[str, int]] = SMALL_CALLS

    range: str = "mse"
    steps: int = 300
    clip_rate: float = 0.01
    transform_rate: float = 0.005
    both: bool = True
    activation_range: str = "minmax"
    activation_index: Literal["none", "step"] = "none"

    def __post_init__(self) -> None:
        if self.clip_rate <= 0:
            raise ValueError(f"clip_rate has to be positive, got {self.clip_rate}")

    def passes(self) -> list[Pass]:
        """Weights block by block, then activations."""
        learner = Clip(self.range, self.clip_rate)
        return [
            Reconstruct(learner, steps=self.steps, transform=self.transform_rate, both=self.both),
            QuantizeActivations(self.activation_range, self.activation_index),
        ]
