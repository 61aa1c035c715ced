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
one. Both are bounded where the student leaks its mass into the tail; `loss: topkld-chained`, with
forward KL between the masses, is not. Families that sample from all codes would have k = V, which
is reverse KL: they take 15 % of the codes, the share of the paper's VAR. Families without logits
minimise the squared error of the prediction and of every block's output, which is what any
divergence between Gaussians of one width comes to. The paper names neither its start nor what it
trains: here GPTQ, and everything.

Cost. A step runs the teacher once and the student three times; memory of the teacher, six numbers
a trained weight and the activations of a batch, less with `recompute`.

Use. Below 4 bits, and at 4 bits with 8-bit activations, where minutes of training are at hand.
At two bits `loss: jensen-shannon`, forward-kl and topkld-chained end nearer to full precision;
other rivals are reverse-kl and logit-mse. `data` is the family's own loss on images without a
teacher, which no claim about distillation should be without.
"""

from dataclasses import dataclass
from typing import ClassVar

from bitscape.formats import QuantScheme
from bitscape.methods.schemes import TRAINED
from bitscape.methods.starts import STARTS
from bitscape.methods.taught import Taught
from bitscape.passes import Pass


@dataclass(frozen=True)
class TopKLD(Taught):
    """Training towards full precision from the result of the method that `start` names."""

    summary: ClassVar[str] = "Trains the rounded network towards full precision: for 2 to 4 bits."
    schemes: ClassVar[tuple[str, ...]] = TRAINED

    start: str = "gptq"

    def takes(self, scheme: QuantScheme) -> bool:
        """What its start takes."""
        return STARTS[self.start]().takes(scheme)

    def passes(self) -> list[Pass]:
        """The passes of the start inside one of distillation."""
        return [self.distilled(self.start)]
