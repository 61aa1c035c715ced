"""How long and how fast to train."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Plan:
    """The length and pace of a run.

    The rate rises linearly for `warmup` steps, stays, and falls to zero over the last `decay` share
    of the steps, along a line or half a cosine. `average` is the decay of the exponential moving
    average of the weights. `seconds` bounds the time of the run, interruptions apart: the fall is
    then reached by whichever of steps and time is further, so that a run cut short is a whole,
    shorter run; where it ends depends on the machine.

    A run stops when the mean of the loss called `watched` over one stretch of the log is more than
    `diverged` times that of the first, or times `floor` if that is more; at the root of that factor
    it warns.
    """

    steps: int
    warmup: int = 200
    decay: float = 0.3
    clip: float = 1.0
    average: float = 0.999
    log_every: int = 100
    save_seconds: float = 120.0
    fall: Literal["linear", "cosine"] = "linear"
    seconds: float | None = None
    watched: str = "loss"
    diverged: float = math.inf
    floor: float = 0.01

    def factor(self, step: int, elapsed: float = 0.0) -> float:
        """The share of the base rate used at `step`, `elapsed` seconds into the run."""
        rising = min(1.0, (step + 1) / max(self.warmup, 1))
        left = (self.steps - step) / max(self.decay * self.steps, 1)
        if self.seconds is not None:
            left = min(left, (1 - elapsed / self.seconds) / max(self.decay, 1e-9))
        left = min(max(left, 0.0), 1.0)
        falling = left if self.fall == "linear" else 0.5 * (1 - math.cos(math.pi * left))
        return min(rising, falling)

    def over(self, done: int, elapsed: float) -> bool:
        """Whether the run ends after `done` steps and `elapsed` seconds."""
        return done >= self.steps or (self.seconds is not None and elapsed >= self.seconds)
