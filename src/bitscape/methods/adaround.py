"""AdaRound: whether each weight goes up or down is learnt, block by block.

Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", arXiv:2004.10568; the
objective is that of Li et al., "BRECQ: Pushing the Limit of Post-Training Quantization by Block
Reconstruction", arXiv:2102.05426.

    w^ = s (floor(w / s) + h(v) - z) (AdaRound eq. 22)   passes.learned.RoundingUp
    h(v) = clip(1.2 sigmoid(v) - 0.1, 0, 1) (eq. 23)     algorithms.rounding.rectified_sigmoid
    sum 1 - |2 h - 1|^beta, beta 20 to 2 (eq. 24)        algorithms.rounding.undecided, annealed
    the output of a block on quantized inputs against
    the float block's on float inputs (BRECQ eq. 10)     passes.Reconstruct

Deviations. The papers take 20,000 steps of 1e-3 a block; here a few hundred at a rate that falls
from 0.05, which is what minutes on two cores allow. The two points a weight chooses from are
neighbours in any format, so that floats learn too. `greedy` starts from GPTQ's codes instead, each
weight being free to move to the next point towards its float value. A block whose learnt rounding
is no better than its start on the calibration calls keeps the start. The block's error is divided
by that of the start and the penalty is a mean over weights, so that one weight between them fits
every block; BRECQ's Fisher weights are left out. Dynamic activation quantizers are in place while
weights are learnt. Sites outside of blocks are rounded by GPTQ.

Cost. `steps` forward and backward passes of each block over one call, each some three times the
work of the pass forward; memory of one block's inputs, outputs and three numbers a weight.

Use. As the published baseline. At this budget it halves what RTN loses and stays behind GPTQ: on
the small VAR of the zoo at W3A16 300 steps end 0.91 nats above full precision, where RTN on the
same grids ends at 1.97 and GPTQ at 0.75; started from GPTQ, 400 steps change nothing. At W4A4 100
steps are level with GPTQ (0.62). Give it thousands of steps before expecting more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from bitscape.methods.base import Method
from bitscape.methods.calibrations import SMALL_CALLS
from bitscape.methods.schemes import COMMON
from bitscape.passes import Pass, QuantizeActivations, Reconstruct, UpOrDown


@dataclass(frozen=True)
class AdaRound(Method):
    """Learnt rounding of each block, activations as in RTN."""

    summary: ClassVar[str] = "Learns to round each weight up or down, block by block: minutes."
    schemes: ClassVar[tuple[str, ...]] = COMMON
    calibration: ClassVar[Mapping[str, int]] = SMALL_CALLS

    range: str = "mse"
    steps: int = 400
    rate: float = 0.05
    pressure: float = 1.0
    warmup: float = 0.2
    greedy: bool = False
    activation_range: str = "minmax"
    activation_index: Literal["none", "step"] = "none"

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.pressure < 0 or not 0 <= self.warmup < 1:
            raise ValueError(
                "adaround takes a positive rate, no negative pressure and a warmup in [0, 1), "
                f"got {self.rate}, {self.pressure} and {self.warmup}"
            )

    def passes(self) -> list[Pass]:
        """Weights block by block, then activations."""
        learner = UpOrDown(self.range, self.rate, self.pressure, self.warmup, greedy=self.greedy)
        return [
            Reconstruct(learner, steps=self.steps),
            QuantizeActivations(self.activation_range, self.activation_index),
        ]
