"""RTN, round to nearest: the baseline that every other method has to beat.

    q = clip(round(w / s) + z), w^ = s (q - z)      quantizers.affine.quantize, dequantize
    s, z from the extremes of each row or group     quantizers.ranges, by `range`

Asymmetric grids follow eq. 1 of Nagel et al., "A White Paper on Neural Network Quantization",
arXiv:2106.08295: the range is widened to hold zero, and the zero point is an integer.

Deviations. None.

Cost. Seconds; no data unless activations have static ranges. The memory of one weight.

Use. At 8 bits, where nothing else is needed, and as the baseline below.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from bitscape.methods.base import Method
from bitscape.methods.schemes import EVERY
from bitscape.passes import Nearest, Pass, QuantizeActivations, QuantizeWeights


@dataclass(frozen=True)
class RTN(Method):
    """Every weight and activation to the nearest point of its grid.

    `range` is the rule for weights; `activation_range` and `activation_index` are those of static
    activations, which dynamic schemes do not have.
    """

    summary: ClassVar[str] = "Round to nearest: seconds, no data; the baseline."
    schemes: ClassVar[tuple[str, ...]] = EVERY

    range: str = "minmax"
    activation_range: str = "minmax"
    activation_index: Literal["none", "step"] = "none"

    def passes(self) -> list[Pass]:
        """Weights, then activations."""
        return [
            QuantizeWeights(Nearest(self.range)),
            QuantizeActivations(self.activation_range, self.activation_index),
        ]
