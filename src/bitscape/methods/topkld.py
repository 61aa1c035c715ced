"""TopKLD: quantization-aware distillation, reverse KL on the head, forward KL on the tail.

"Dissecting Bit-Level Scaling Laws in Quantizing Vision Generative Models", arXiv:2501.06218.

    sum_M q log(q/p) + sum_not-M p log(p/q) (eq. 7),
    M the teacher's k most probable codes               algorithms.divergences.topkld
    k: the top-k the family samples with                algorithms.divergences.head_size
    rounding in the loop, learnt scales, here by LSQ
    (Esser et al., arXiv:1902.08153, eq. 3)             passes.student, quantizers.lsq_quantize
    sequences that the teacher sampled, teacher-forced  passes.lessons

Deviations. The printed loss is no divergence: at q = p its gradient drains mass out of the head,
and it is unbounded towards zero. The default adds 2 (T - S), twice the mass that the student lacks
in the head, which makes every summand a Bregman divergence; `loss: topkld-paper` is the printed
one. Families that sample from all codes would have k = V, which is reverse KL: they take 15 % of
the codes, the share of the paper's VAR. Families without logits minimise the squared error of the
prediction and of every block's output, which is what any divergence between Gaussians of one width
comes to. The paper names neither its start nor what it trains: here GPTQ, and everything.

Cost. A step runs the teacher once and the student three times; memory of the teacher, six numbers
a trained weight and the activations of a batch, less with `recompute`.

Use. Below 4 bits, and at 4 bits with 8-bit activations, where minutes of training are at hand.
`loss` chooses rivals: forward-kl, reverse-kl, jensen-shannon, logit-mse; `data` is the family's
own loss on images without a teacher, which no claim about distillation should be without.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from bitscape.methods.schemes import TRAINED
from bitscape.methods.starts import starting_passes
from bitscape.passes import Distill, Imitation, Pass, Training, TrainingLoss


@dataclass(frozen=True)
class TopKLD:
    """Training towards full precision from any method's result.

    `start` names the method whose result is trained. `training` holds further settings of
    `passes.Training`, such as `average`, `precision` or the multiples of `rate`.
    """

    summary: ClassVar[str] = "Trains the rounded network towards full precision: for 2 to 4 bits."
    schemes: ClassVar[tuple[str, ...]] = TRAINED

    loss: str = "topkld"
    k: int | None = None
    blocks: float = 0.1
    start: str = "gptq"
    steps: int = 400
    batch: int = 32
    rate: float = 1e-3
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.passes()

    def passes(self) -> list[Pass]:
        """The passes of the start inside one of distillation."""
        data = self.loss == "data"
        objective = TrainingLoss() if data else Imitation(self.loss, self.k, self.blocks)
        training = Training(steps=self.steps, batch=self.batch, rate=self.rate, **self.training)
        return [Distill(starting_passes(self.start), objective, training)]
