"""Matryoshka: one set of 4-bit weights whose first 3 and first 2 bits are good weights too.

Nair et al., "Matryoshka Quantization", arXiv:2502.06786.

    S(q, r) = round(q / 2^(c-r)), r first bits of c     formats.Slice
    sum over r of weight_r times the loss at r bits     passes.Nesting, `weights`
    co-distillation: narrow widths learn from the wide  passes.Nesting, `codistill`
    one scale for all widths                            nn.read_first_bits

Deviations. The paper fits min-max or learnt clipping to codes of 8 bits and trains on next tokens;
here 4 bits, learnt scales, and the loss towards the full-precision network. Codes are signed, so
that every width is symmetric and has kernels. The paper's weights are tuned; here they halve with
each bit, for reasons that `passes.Nesting` gives. The loss is forward KL, because that of topkld
is bounded, and hardly teaches 2 bits that start far from full precision. The narrow readings of
each layer have a learnt multiple of the common scales, one number a width, because the steps that
suit 4 bits, doubled for each bit less, are too long for 2.

Cost. A step runs the student once for each width: twice that of topkld.

Use. Where one file has to serve devices of different memory: `--bits` at load, no more bytes than
the 4-bit model alone. Each width is clearly worse than a model trained at it alone: `weights` say
which of them gives way.
"""

from dataclasses import dataclass
from typing import ClassVar

from bitscape.formats import Int, QuantScheme
from bitscape.methods.starts import STARTS
from bitscape.methods.taught import Taught
from bitscape.passes import Nesting, Pass, ReadAt


@dataclass(frozen=True)
class Matryoshka(Taught):
    """GPTQ, then training at all `widths` together; other settings as in `Taught`.

    With `read` the result is the model of that width alone, for comparisons.
    """

    summary: ClassVar[str] = "Trains 4-bit weights whose first 3 and 2 bits are models as well."
    schemes: ClassVar[tuple[str, ...]] = ("W4A16", "W4A8")

    widths: tuple[int, ...] = (4, 3, 2)
    weights: tuple[float, ...] = ()
    codistill: float = 0.0
    read: int | None = None
    start: str = "gptq"
    loss: str = "forward-kl"
    steps: int = 600

    def takes(self, scheme: QuantScheme) -> bool:
        """Symmetric integers of the greatest width, which hold the others."""
        widest = Int(max(self.widths))
        return STARTS[self.start]().takes(scheme) and any(
            weight.format == widest for weight in scheme.weights
        )

    def passes(self) -> list[Pass]:
        """The passes of the start inside one of distillation at several widths."""
        nesting = Nesting(tuple(self.widths), tuple(self.weights), self.codistill)
        if self.read is not None and self.read not in self.widths:
            raise ValueError(f"of the widths {self.widths} none is {self.read}")
        cut = [] if self.read is None else [ReadAt(self.read)]
        return [self.distilled(self.start, nesting), *cut]
