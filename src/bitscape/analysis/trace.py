"""Trajectories taken apart: two models in lockstep, noise on single calls, what is handed on.

A call's first argument is what the sampler hands to the network: the reconstruction so far (the map
that VAR has accumulated, the latents x_{t-1} after a solver's update, the tokens picked).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.algorithms.sensitivity import relative_square
from bitscape.structure import Call, Pipeline, Randomness, Trajectory, invoke

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Subject:
    """A model with what it draws and from which seed, so that all studies see the same images."""

    pipeline: Pipeline
    labels: Tensor
    seed: int = 0

    def beside(self, pipeline: Pipeline) -> "Subject":
        """Another model that draws the same, with the same sampler options and random numbers."""
        return Subject(replace(pipeline, sampler=self.pipeline.sampler), self.labels, self.seed)

    def start(self) -> Trajectory:
        """The trajectory from its beginning, with the random numbers of its images."""
        pipeline = self.pipeline
        randomness = Randomness(self.seed, range(len(self.labels)), pipeline.device)
        conditions = self.labels.to(pipeline.device)
        return pipeline.adapter.trajectory(
            pipeline.network, conditions, randomness, **pipeline.sampler
        )

    @torch.no_grad()
    def answer(self, call: Call) -> Tensor:
        """What the network answers."""
        return invoke(self.pipeline.network, self.pipeline.clocks, call)

    def rest(self) -> None:
        """Unset the clocks."""
        for clock in self.pipeline.clocks.values():
            clock.unset()


@dataclass(frozen=True)
class Pair:
    """One call of a trajectory and the answers of teacher and student to it."""

    net: str
    handed: Tensor
    output: Tensor
    other: Tensor


@dataclass(frozen=True)
class Path:
    """A trajectory that was run: what each call was handed, each answer, the latents."""

    nets: tuple[str, ...]
    handed: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.outputs)

    def after(self, index: int) -> Tensor:
        """What is handed on once call `index` has been answered: latents after the last one."""
        return self.handed[index + 1]


def lockstep(teacher: Subject, student: Subject) -> Iterator[Pair]:
    """Both models on the calls of the teacher's trajectory, each with caches of its own."""
    first, second = teacher.start(), student.start()
    try:
        call, twin = next(first), next(second)
        while True:
            output, other = teacher.answer(call), student.answer(twin)
            yield Pair(call.net, _handed(call, teacher), output, other)
            call, twin = first.send(output), second.send(output)
    except StopIteration:
        return
    finally:
        teacher.rest()
        student.rest()


@torch.no_grad()
def run(
    subject: Subject, changes: Mapping[int, Change] | None = None, known: Path | None = None
) -> Path:
    """The trajectory with the answers to some calls changed.

    `known` is the unchanged path: answers before the first change are taken from it where no cache
    has to be filled.
    """
    changes = changes or {}
    first = min(changes, default=0)
    trajectory = subject.start()
    nets: list[str] = []
    handed: list[Tensor] = []
    outputs: list[Tensor] = []
    try:
        call = next(trajectory)
        while True:
            index = len(outputs)
            same = known is not None and index <= first and not call.state
            output = known.outputs[index] if same and known is not None else subject.answer(call)
            output = changes[index](output) if index in changes else output
            nets.append(call.net)
            handed.append(_handed(call, subject))
            outputs.append(output)
            call = trajectory.send(output)
    except StopIteration as stop:
        return Path(tuple(nets), (*handed, stop.value), tuple(outputs))
    finally:
        subject.rest()


@torch.no_grad()
def handed_on(subject: Subject, answers: Sequence[Tensor]) -> Tensor:
    """What the sampler hands on after the first `answers`; no network is run."""
    trajectory = subject.start()
    try:
        call = next(trajectory)
        for answer in answers:
            call = trajectory.send(answer)
    except StopIteration as stop:
        latents: Tensor = stop.value
        return latents
    return _handed(call, subject)


def distance(reference: Tensor, value: Tensor) -> Float[Tensor, " batch"]:
    """|value - reference| / |reference| of each image; of tokens the share that differs."""
    if not reference.is_floating_point():
        return (reference != value).double().flatten(1).mean(1)
    return relative_square(reference, value)[:, 0].double().sqrt()


def signal(pipeline: Pipeline, output: Tensor) -> Tensor:
    """The part of an answer that matters: of logits what remains without their mean."""
    return output - output.mean(-1, keepdim=True) if pipeline.adapter.discrete else output


def noise_at(subject: Subject, decibels: float, index: int) -> Change:
    """Add white noise to an answer, of a signal-to-noise ratio of `decibels` for each row.

    The noise of a call is the same at every level but for its size, and the same for the two rows
    of an image under guidance, which would otherwise amplify it.
    """

    def change(output: Tensor) -> Tensor:
        images = range(len(subject.labels))
        draws = Randomness(subject.seed + _STREAM + index, images, output.device)
        noise = draws.normal(*output.shape[1:]).to(output.dtype)
        noise = noise.repeat(len(output) // len(noise), *[1] * (output.ndim - 1))
        size = signal(subject.pipeline, output).flatten(1).square().mean(1).sqrt()
        scale = size * 10 ** (-decibels / 20)
        return output + scale.view(-1, *[1] * (output.ndim - 1)) * noise

    return change


# Noise on answers must not be the numbers that the sampler draws.
_STREAM = 2**41


def _handed(call: Call, subject: Subject) -> Tensor:
    # A copy, since samplers write in place; the rows that guidance doubles say nothing new.
    handed: Tensor = call.args[0]
    return handed[: len(subject.labels)].detach().clone()
