"""The adapter: all that a family tells the rest of the library about itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, nn

from bitscape.structure.block import Block
from bitscape.structure.call import Call, Trajectory
from bitscape.structure.fold import Fold
from bitscape.structure.randomness import Randomness
from bitscape.structure.site import Site

Style = Literal["autoregressive", "diffusion"]


@dataclass(frozen=True)
class Lesson:
    """A trajectory on real data together with what its result should have been.

    `start` begins the trajectory anew each time: one teacher-forced or noised call for most
    families, a call of the backbone and one of the head where a model has two networks.
    """

    start: Callable[[], Trajectory]
    target: Tensor

    @classmethod
    def of_call(cls, call: Call, target: Tensor) -> "Lesson":
        """The lesson of a single call."""

        def start() -> Trajectory:
            return (yield call)

        return cls(start, target)


@runtime_checkable
class WeighsSteps(Protocol):
    """An adapter that knows what an error of the network at one step does to the sample."""

    def influence(
        self, step: Int[Tensor, "batch 1"], steps: int | None = None
    ) -> Float[Tensor, " batch"]:
        """What squared errors of the output at clock indices `step` weigh, one on average.

        `steps` is the number of stops of the sampler, None for the family's own.
        """
        ...


@runtime_checkable
class Adapter(Protocol):
    """The facts of one model family. Passes meet a model only here.

    `config` is the frozen dataclass the network was built from. `steps` counts the
    values of the clock of each sub-network that calls name: positions of the family's default
    trajectory, or the timesteps of a diffusion's noise schedule.
    `loss_name` names `loss`: "nll" (nats a token) or "denoising_loss" (mean squared error).
    `discrete` says whether outputs are logits over a codebook.
    """

    family: str
    style: Style
    config: Any
    steps: dict[str, int]
    loss_name: str
    discrete: bool
    num_classes: int

    def sites(self, network: nn.Module) -> list[Site]:
        """Every site that can be quantized, in execution order."""
        ...

    def folds(self, network: nn.Module) -> list[Fold]:
        """Producers and consumers, each with what the producer can absorb."""
        ...

    def blocks(self, network: nn.Module) -> list[Block]:
        """The blocks in execution order."""
        ...

    def trajectory(
        self,
        network: nn.Module,
        conditions: Tensor,
        randomness: Randomness,
        *args: Any,
        **sampler: Any,
    ) -> Trajectory:
        """A generator that yields calls, receives outputs and returns final latents.

        Each family names its own options as keyword arguments; no family takes `args`.
        """
        ...

    def replay(self, calls: Sequence[Call]) -> list[Call]:
        """The recorded calls of one trajectory as independent calls that need no cache."""
        ...

    def encode(self, tokenizer: nn.Module, images: Tensor) -> Tensor:
        """What lessons are made of: tokens or latents, one row an image.

        `images` are in [-1, 1], shape (batch, 3, h, w).
        """
        ...

    def lesson(self, encoded: Tensor, labels: Tensor, randomness: Randomness) -> Lesson:
        """Teacher-forced (or noised) calls on encoded images."""
        ...

    def without_labels(self, labels: Tensor, drawn: Tensor) -> Tensor:
        """`labels`, some replaced by "no class" as in the family's training, for guidance.

        `drawn` is uniform in [0, 1), one number a label: those below the family's share decide.
        """
        ...

    def loss(self, output: Tensor, target: Tensor) -> Float[Tensor, " batch"]:
        """The family's training loss for each sample."""
        ...

    def decode(self, tokenizer: nn.Module, latents: Tensor) -> Tensor:
        """Images as uint8, shape (batch, h, w, 3), by the family's own pixel conversion."""
        ...
