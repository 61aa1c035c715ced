"""What all ways to learn the rounding of a weight have in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from jaxtyping import Float, UInt8
from torch import Tensor, nn

from bitscape.formats import TensorScheme
from bitscape.passes.rounders import Greedy, Rounded, range_rule

Matrix = Float[Tensor, "out in"]
Codes = UInt8[Tensor, "out codes"]


class Learned(nn.Module, ABC):
    """The rounding of one weight while it is learnt, with its parameters."""

    def __init__(self, scheme: TensorScheme) -> None:
        super().__init__()
        self.scheme = scheme

    @abstractmethod
    def weight(self, W: Matrix) -> Matrix:
        """`W` as it would be rounded now, differentiable."""

    def penalty(self, progress: float) -> Tensor:
        """What is added to the loss of the block, `progress` from 0 to 1: nothing, mostly."""
        del progress
        return next(self.parameters()).new_zeros(())

    @abstractmethod
    def rounded(self, W: Matrix) -> Rounded:
        """`W` as codes, at the end."""


@dataclass(frozen=True)
class Learner(ABC):
    """A way to learn rounding: on grids found by the rule `range`, at Adam's `rate`."""

    range: str
    rate: float

    def __post_init__(self) -> None:
        range_rule(self.range)

    @property
    def seed(self) -> Greedy | None:
        """The rounder whose codes it starts from, if any."""
        return None

    @abstractmethod
    def start(self, W: Matrix, scheme: TensorScheme, codes: Codes | None = None) -> Learned:
        """What is learnt of `W`, before the first step; `codes` are those of the seed."""


@dataclass(frozen=True)
class SeededLearner(Learner):
    """One that can start from the codes of GPTQ on the same grids: it does with `greedy`."""

    greedy: bool = field(default=False, kw_only=True)

    @property
    def seed(self) -> Greedy | None:
        """GPTQ on the same grids, if it is asked for."""
        return Greedy(range=self.range) if self.greedy else None
