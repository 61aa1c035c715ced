"""What a student is asked to do: objectives, which compare what two networks made of a lesson.

An objective is an object, so that a method can bring its own: it says which modules inside the
network it wants to look at, and is given their outputs in student and teacher.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.algorithms.divergences import divergences, forward_kl, head_size
from bitscape.structure import Lesson, Pipeline, WeighsSteps

Losses = Mapping[str, Tensor]


@dataclass(frozen=True)
class Answer:
    """What a network made of one lesson: its output, and that of chosen modules inside it.

    `inside` lists for each module one tensor a call, so that networks called twice have two.
    """

    output: Tensor
    inside: Mapping[str, list[Tensor]]

    def detach(self) -> "Answer":
        """The same without a way back for gradients."""
        inside = {name: [each.detach() for each in found] for name, found in self.inside.items()}
        return Answer(self.output.detach(), inside)


@runtime_checkable
class Objective(Protocol):
    """Named scalar losses of one lesson: "loss" is minimised, the others are logged."""

    @property
    def reads_teacher(self) -> bool:
        """Whether it compares with the full-precision network."""
        ...

    @property
    def reads_target(self) -> bool:
        """Whether it needs real images: what a teacher sampled has no target."""
        ...

    @property
    def watched(self) -> str:
        """The name of the loss whose growth means that the run diverges."""
        ...

    def inside(self, pipeline: Pipeline) -> Sequence[str]:
        """The names of the modules whose outputs it wants to see."""
        ...

    def __call__(
        self, pipeline: Pipeline, lesson: Lesson, student: Answer, teacher: Answer | None
    ) -> Losses:
        """The losses; `pipeline` is that of full precision, `teacher` None if it is not read."""
        ...


class Comparison:
    """What objectives have in common whose target is the teacher's answer."""

    @property
    def reads_teacher(self) -> bool:
        """Always."""
        return True

    @property
    def reads_target(self) -> bool:
        """Never: the teacher's answer is the target."""
        return False

    @property
    def watched(self) -> str:
        """The distance from the teacher, which not every loss bounds (TopKLD as printed)."""
        return "distance"


@dataclass(frozen=True)
class Imitation(Comparison):
    """Be like the teacher: a divergence of the logits, or the squared error of a prediction.

    `loss` names the divergence, one of `algorithms.divergences`, with `k` the head of TopKLD, None
    for the family's own (`head_size`). Continuous families have no logits. Their prediction is the
    mean of a Gaussian of fixed width, where every divergence is a squared error; it is taken
    relative to the teacher's mean square, sample by sample, and so is that of each block, weighted
    by `blocks`:

        |y - y_t|^2 / |y_t|^2 + blocks mean_b |h_b - h_bt|^2 / |h_bt|^2

    With `weigh` the first term of a diffusion model's sample is multiplied by what an error at its
    step weighs in the sample drawn (`WeighsSteps`): most where there is most noise, where
    predictions are easiest.
    """

    loss: str = "topkld"
    k: int | None = None
    blocks: float = 0.1
    weigh: bool = False

    def __post_init__(self) -> None:
        known = divergences(0)
        if self.loss not in known:
            raise ValueError(f"unknown loss {self.loss!r}: one of {', '.join(known)}")
        if self.blocks < 0 or (self.k is not None and self.k < 0):
            raise ValueError(
                f"k and the weight of blocks cannot be negative, got {self.k} and {self.blocks}"
            )

    def inside(self, pipeline: Pipeline) -> Sequence[str]:
        """The blocks of continuous families, if they count."""
        if pipeline.adapter.discrete or not self.blocks:
            return ()
        return [block.name for block in pipeline.adapter.blocks(pipeline.network)]

    def __call__(
        self, pipeline: Pipeline, lesson: Lesson, student: Answer, teacher: Answer | None
    ) -> Losses:
        """ "loss", the "distance" from the teacher, and for logits the share of equal choices."""
        assert teacher is not None
        if pipeline.adapter.discrete:
            return self._of_logits(pipeline, student.output, teacher.output)
        weights = influences(pipeline, lesson) if self.weigh else None
        prediction = relative_error(student.output, teacher.output, weights)
        loss, pairs = prediction, _pairs(student.inside, teacher.inside)
        if pairs:
            loss = (
                loss + self.blocks * torch.stack([relative_error(*pair) for pair in pairs]).mean()
            )
        return {"loss": loss, "distance": prediction.detach()}

    def _of_logits(self, pipeline: Pipeline, q: Tensor, p: Tensor) -> Losses:
        k = self.k
        if k is None:
            k = head_size(p.shape[-1], int(pipeline.sampler.get("top_k", 0)))
        same = (q.argmax(-1) == p.argmax(-1)).float().mean()
        return {
            "loss": divergences(k)[self.loss](q, p).mean(),
            "distance": forward_kl(q.detach(), p).mean(),
            "agreement": same,
        }


@dataclass(frozen=True)
class TrainingLoss:
    """Fit the data without a teacher: the family's own loss, cross-entropy or denoising."""

    @property
    def reads_teacher(self) -> bool:
        """Never."""
        return False

    @property
    def reads_target(self) -> bool:
        """Always."""
        return True

    @property
    def watched(self) -> str:
        """The loss itself."""
        return "loss"

    def inside(self, pipeline: Pipeline) -> Sequence[str]:
        """Nothing."""
        del pipeline
        return ()

    def __call__(
        self, pipeline: Pipeline, lesson: Lesson, student: Answer, teacher: Answer | None
    ) -> Losses:
        """ "loss"."""
        del teacher
        return {"loss": pipeline.adapter.loss(student.output, lesson.target).mean()}


def relative_error(
    y: Float[Tensor, "sample *shape channel"],
    target: Float[Tensor, "sample *shape channel"],
    weights: Float[Tensor, " sample"] | None = None,
) -> Float[Tensor, ""]:
    """The mean over samples of w |y - target|^2 / |target|^2, w being one without `weights`.

    Each sample has its own scale: a batch shared among processes then has the mean of its shares.
    """
    wide = target.float().flatten(1)
    error = (y.float().flatten(1) - wide).square().sum(dim=1)
    relative = error / wide.square().sum(dim=1).clamp(min=1e-30)
    return (relative if weights is None else weights * relative).mean()


def influences(pipeline: Pipeline, lesson: Lesson) -> Float[Tensor, " sample"] | None:
    """What an error of each sample of a lesson weighs in what the pipeline's sampler draws.

    None where all weigh alike: outputs of families other than diffusion models are no steps towards
    the sample.
    """
    adapter, call = pipeline.adapter, next(lesson.start())
    if not isinstance(adapter, WeighsSteps):
        return None
    return adapter.influence(call.step.expand(call.samples, 1), pipeline.sampler.get("steps"))


def _pairs(
    ours: Mapping[str, list[Tensor]], theirs: Mapping[str, list[Tensor]]
) -> list[tuple[Tensor, Tensor]]:
    return [pair for name in ours for pair in zip(ours[name], theirs[name], strict=True)]
