"""Matryoshka: one set of 4-bit weights whose first 3 and first 2 bits are good weights too.

Nair et al., "Matryoshka Quantization", arXiv:2502.06786.

    S(q, r) = round(q / 2^(c-r)), r first bits of c     formats.Slice
    sum over r of the loss at r bits                    passes.Distill, `widths`
    one scale for all widths                            nn.read_first_bits

Deviations. The paper fits min-max or learnt clipping to codes of 8 bits and trains on next tokens;
here 4 bits, learnt scales, and the loss towards the full-precision network. Codes are signed, so
that every width is symmetric and has kernels. All widths weigh the same.

Cost. A step runs the student once for each width: twice that of topkld.

Use. Where one file has to serve devices of different memory: `--bits` at load, no more bytes than
the 4-bit model alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from bitscape.methods.starts import starting_passes
from bitscape.passes import Distill, Imitation, Pass, Training


@dataclass(frozen=True)
class Matryoshka:
    """GPTQ, then training at all `widths` together; other settings as in TopKLD."""

    summary: ClassVar[str] = "Trains 4-bit weights whose first 3 and 2 bits are models as well."
    schemes: ClassVar[tuple[str, ...]] = ("W4A16", "W4A8")

    widths: tuple[int, ...] = (4, 3, 2)
    loss: str = "topkld"
    k: int | None = None
    blocks: float = 0.1
    start: str = "gptq"
    steps: int = 600
    batch: int = 32
    rate: float = 1e-3
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.passes()

    def passes(self) -> list[Pass]:
        """The passes of the start inside one of distillation at several widths."""
        training = Training(steps=self.steps, batch=self.batch, rate=self.rate, **self.training)
        objective = Imitation(self.loss, self.k, self.blocks)
        start = starting_passes(self.start)
        return [Distill(start, objective, training, tuple(self.widths))]
