"""How a student is trained: rates, length, memory."""

from dataclasses import dataclass

from bitscape.passes.base import Context
from bitscape.training import Plan

PRECISIONS = ("float32", "bfloat16")
"""What the networks compute in; parameters stay as wide as they are."""


@dataclass(frozen=True)
class Training:
    """The settings of a training run: AdamW, warm-up, then half a cosine down to zero.

    `rate` is that of latent weights, or of the factors of their corrections. Others are multiples
    of it: `scales` for the logarithms of weight scales; `ranges` for static activation ranges,
    relative to their size; `rest` for all other parameters (biases, norms, embeddings). 0 leaves
    them as they are. `average` is the decay of the averaged weights that are the result.
    `recompute` keeps the inputs of blocks only and computes the rest twice.
    """

    steps: int = 400
    batch: int = 32
    rate: float = 1e-3
    scales: float = 1.0
    rest: float = 1.0
    ranges: float = 1.0
    weight_decay: float = 0.0
    warmup: float = 0.05
    clip: float = 1.0
    average: float = 0.99
    diverged: float = 10.0
    precision: str = "float32"
    recompute: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise ValueError(
                f"training takes at least one step and one image, got {self.steps} and {self.batch}"
            )
        rates = (self.rate, self.scales, self.rest, self.ranges, self.weight_decay)
        if min(rates) < 0 or self.rate == 0:
            raise ValueError(f"rates cannot be negative, and that of weights not 0, got {rates}")
        if not (0 <= self.warmup < 1 and 0 <= self.average < 1):
            raise ValueError(
                f"warm-up and average are shares below 1, got {self.warmup} and {self.average}"
            )
        if self.clip <= 0 or self.diverged <= 1:
            raise ValueError(
                f"gradients are cut at a norm above 0, and a run diverges at a multiple above 1, "
                f"got clip {self.clip} and diverged {self.diverged}"
            )
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"training computes in {' or '.join(PRECISIONS)}, got {self.precision!r}"
            )

    def plan(self, context: Context, watched: str) -> Plan:
        """The plan of the loop."""
        return Plan(
            steps=self.steps,
            warmup=max(1, round(self.warmup * self.steps)),
            decay=1.0,
            clip=self.clip,
            average=self.average,
            log_every=min(10, max(1, self.steps // 100)),
            save_seconds=context.pace.save_seconds,
            fall="cosine",
            seconds=context.pace.seconds,
            watched=watched,
            diverged=self.diverged,
        )
