"""What methods have in common that train the rounded network: settings of its loss and loop."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from bitscape.algorithms.divergences import divergences
from bitscape.methods.base import Method
from bitscape.methods.calibrations import MANY_IMAGES
from bitscape.methods.starts import starting_passes
from bitscape.passes import Distill, Imitation, Nesting, Pass, Training, TrainingLoss

DATA = "data"
"""The loss without a teacher."""


@dataclass(frozen=True)
class Taught(Method):
    """Training towards full precision, or with `loss` "data" on images alone.

    `training` holds further settings of `passes.Training`, such as `average`, `precision` or the
    multiples of `rate`. ValueError for settings that make no sense.
    """

    calibration: ClassVar[Mapping[str, int]] = MANY_IMAGES

    loss: str = "topkld"
    k: int | None = None
    blocks: float = 0.1
    steps: int = 400
    batch: int = 32
    rate: float = 1e-3
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = (*divergences(0), DATA)
        if self.loss not in known:
            raise ValueError(f"unknown loss {self.loss!r}: one of {', '.join(known)}")
        self.passes()

    @abstractmethod
    def passes(self) -> list[Pass]:
        """The passes, in order."""

    def distilled(self, start: str, nesting: Nesting | None = None) -> Distill:
        """The passes of the method `start` inside one that trains their result."""
        taught = self.loss != DATA
        objective = Imitation(self.loss, self.k, self.blocks) if taught else TrainingLoss()
        training = Training(steps=self.steps, batch=self.batch, rate=self.rate, **self.training)
        return Distill(starting_passes(start), objective, training, nesting)
