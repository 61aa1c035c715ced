"""EfficientDM: the whole quantized network is trained to predict what full precision predicts.

He et al., "EfficientDM: Efficient Quantization-Aware Fine-Tuning of Low-Bit Diffusion Models",
arXiv:2310.03270.

    |e(x_t, t) - e_q(x_t, t)|^2, data-free               passes.Distill, Imitation
    W + B A, rounded together (QALoRA)                   passes.Distill, rank
    scales of weights learnt with them                   passes.student
    a scale for each step (TALSQ)                        passes.QuantizeActivations

Deviations. The paper trains a low-rank part of each weight, of rank 32, to save memory; merged
before rounding as it is, it spans less than the weight itself, which is trained here unless a
`rank` is given (of a kernel every tap has its own, where the paper's share B). The batches are
samples that the model's own sampling recorded, of mixed steps where the paper's are of one: errors
at the least noise are a hundred times those at the most. Biases and norms stay as they are.
Rates are absolute: `scale_rate` is that of the logarithms of weight scales, `range_rate` that of
ranges relative to their size. `start_samples` bounds the trajectories that ranges are found on.

`stages` trains the sites of some roles alone, one stage after another and `steps` each, as QuEST
does (arXiv:2402.03666) with the whole network's prediction as its loss:
`stages=[[ada], [qkv, proj, fc1, fc2]]`. Method `quest` does so block by block.

Cost. `steps` forward and backward passes of the whole network, and a forward pass of full
precision, for every stage; memory of all activations and three numbers for each weight that is
trained, or with a `rank` those of its factors.

Use. As the plain baseline of training-based quantization of diffusion.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from bitscape.methods.base import Method
from bitscape.methods.calibrations import MANY_STEPS
from bitscape.methods.rates import training_of_sites
from bitscape.methods.schemes import TABLES
from bitscape.passes import (
    Distill,
    Imitation,
    Nearest,
    Pass,
    QuantizeActivations,
    QuantizeWeights,
)


@dataclass(frozen=True)
class EfficientDM(Method):
    """Fine-tuning of all weights, their scales and the ranges of every step."""

    summary: ClassVar[str] = "Trains the whole quantized network on its own samples: diffusion."
    schemes: ClassVar[tuple[str, ...]] = (
        *TABLES,
        *(f"W{weight}A{inputs},static" for weight in (3, 2) for inputs in (6, 4)),
    )
    calibration: ClassVar[Mapping[str, int]] = MANY_STEPS

    steps: int = 400
    batch: int = 32
    rate: float = 1e-3
    scale_rate: float = 1e-3
    range_rate: float = 1e-3
    rows: int | None = None
    rank: int | None = None
    stages: tuple[tuple[str, ...], ...] = ()
    start_samples: int | None = None

    def passes(self) -> list[Pass]:
        """Rounding to nearest, then training."""
        start = (
            QuantizeWeights(Nearest("mse")),
            QuantizeActivations("mse", "step", rows=self.rows),
        )
        return [
            Distill(
                start,
                Imitation(blocks=0.0),
                training_of_sites(self),
                rank=self.rank,
                stages=self.stages,
                start_samples=self.start_samples,
            )
        ]
