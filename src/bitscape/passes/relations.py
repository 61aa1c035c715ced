"""Relation distillation: steps read in company, and the objective that compares their relations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from bitscape.algorithms.relations import as_tokens, relation_loss
from bitscape.calibration import CalibrationSet
from bitscape.formats import QuantScheme
from bitscape.passes.base import Context, Field
from bitscape.passes.objectives import Answer, Comparison, Imitation, Losses
from bitscape.structure import Call, Lesson, Pipeline


@dataclass(frozen=True)
class JoinSteps:
    """Join `window` consecutive recorded steps of a diffusion trajectory into one call.

    The joined call holds the samples of the first step, then those of the next: a batch of mixed
    steps. Calls of other families, and those left over, stay as they are.
    """

    before: ClassVar[frozenset[Field]] = frozenset()
    writes: ClassVar[frozenset[Field]] = frozenset()

    window: int = 2

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"at least one step is read at a time, got a window of {self.window}")

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        """Not for itself: there may be nothing to join."""
        del scheme
        return False

    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        """Replace the calibration calls of the context."""
        found = context.calibration
        if found is None or pipeline.adapter.style != "diffusion" or self.window == 1:
            return
        joined = tuple(_joined(calls) for calls in _runs(found.calls, self.window))
        batch = self.window * int(found.provenance.get("batch", 1))
        provenance = {**found.provenance, "batch": batch, "window": self.window}
        context.calibration = CalibrationSet(joined, provenance)


@dataclass(frozen=True)
class Relations(Comparison):
    """Predict as the teacher does, and keep the relations inside the last block.

        |y - y_t|^2 / |y_t|^2 + weight / channels * mean KL(P_t || P)

    with P of `algorithms.relations`, of features averaged over the steps of a joined call, and the
    mean over samples and positions. At a weight of 100 the second term is the paper's
    100 sum KL / sum |y_t|^2 if both sums are those of one step, whose predictions have a mean
    square of one at as many positions: each step then contributes one KL, where the paper has one
    for all the steps that are averaged. With `weigh` the first term of a diffusion model's sample
    is multiplied by what an error at its step weighs in the sample drawn (`WeighsSteps`): most
    where there is most noise, where predictions are easiest. Without `smooth` the features of each
    sample count alone, as they have to where calls hold unrelated ones. In families with logits the
    first term is `Imitation`'s divergence of theirs.
    """

    weight: float = 4.0
    temperature: float = 0.2
    itself: bool = False
    rows: int = 512
    weigh: bool = False
    smooth: bool = True

    def __post_init__(self) -> None:
        if self.weight < 0 or self.temperature <= 0 or self.rows < 1:
            raise ValueError(
                "relations take a weight of at least 0, a temperature above 0 and rows of at least "
                f"1, got {self.weight}, {self.temperature} and {self.rows}"
            )

    def inside(self, pipeline: Pipeline) -> Sequence[str]:
        """The last block; in a U-Net it lies before the last norm and convolution."""
        blocks = pipeline.adapter.blocks(pipeline.network)
        return [blocks[-1].name] if blocks and self.weight else []

    def __call__(
        self, pipeline: Pipeline, lesson: Lesson, student: Answer, teacher: Answer | None
    ) -> Losses:
        """What `Imitation` names, the predictions weighed if asked for, and the "relations".

        "relations" is 0 for a lesson of another sub-network than the block: losses are averaged
        over lessons and processes by their names.
        """
        assert teacher is not None
        answers = Answer(student.output, {}), Answer(teacher.output, {})
        losses = dict(Imitation(blocks=0.0, weigh=self.weigh)(pipeline, lesson, *answers))
        losses["relations"] = torch.zeros((), device=student.output.device)
        for name in student.inside:
            steps = steps_joined(lesson) if self.smooth else 1
            pairs = zip(student.inside[name], teacher.inside[name], strict=True)
            found = [
                relation_loss(
                    smoothed(as_tokens(ours), steps),
                    smoothed(as_tokens(theirs), steps),
                    temperature=self.temperature,
                    itself=self.itself,
                    rows=self.rows,
                )
                for ours, theirs in pairs
            ]
            if not found:
                continue
            relations = torch.stack(found).mean()
            losses["loss"] = losses["loss"] + self.weight / student.output.shape[1] * relations
            losses["relations"] = relations.detach()
        return losses


def steps_joined(lesson: Lesson) -> int:
    """How many steps of one trajectory a lesson holds behind one another; 1 for any other batch."""
    step = next(lesson.start()).step
    if step.shape[1] > 1:
        return 1
    runs = torch.unique_consecutive(step[:, 0], return_counts=True)[1]
    return len(runs) if bool((runs == runs[0]).all()) and int(runs[0]) > 1 else 1


def smoothed(features: Tensor, steps: int) -> Tensor:
    """The mean of the features of the same sample over `steps` steps."""
    # Paper's code averages with the student's features of the step before, whose graph is gone:
    # here both steps run in one batch, and both have a gradient.
    return features.unflatten(0, (steps, -1)).mean(dim=0)


def _runs(calls: Sequence[Call], window: int) -> Iterator[list[Call]]:
    """Runs of up to `window` calls of one trajectory: its timesteps fall."""
    run: list[Call] = []
    for call in calls:
        if run and (len(run) == window or not _follows(run[-1], call)):
            yield run
            run = []
        run.append(call)
    if run:
        yield run


def _follows(first: Call, second: Call) -> bool:
    alike = first.net == second.net and first.step.shape == second.step.shape == (1, 1)
    shapes = [
        [a.shape if isinstance(a, Tensor) else a for a in call.args] for call in (first, second)
    ]
    return alike and shapes[0] == shapes[1] and int(second.step) < int(first.step)


def _joined(calls: Sequence[Call]) -> Call:
    first = calls[0]
    if len(calls) == 1:
        return first
    parts = zip(*(call.args for call in calls), strict=True)
    args = tuple(torch.cat(part) if isinstance(part[0], Tensor) else part[0] for part in parts)
    return replace(
        first, step=torch.cat([c.step.expand(first.samples, 1) for c in calls]), args=args
    )
