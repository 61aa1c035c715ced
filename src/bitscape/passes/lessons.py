"""What a student learns from: calls that the teacher's own sampling recorded, or real images.

Both give the lessons of a step from its number alone, so that a run can be taken up anywhere, and
each of several processes its share of the same batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from bitscape.calibration import CalibrationSet
from bitscape.evaluation import Draw, encoded_images, images_identity
from bitscape.structure import Lesson, Pipeline, Randomness, ReadsPrompts
from bitscape.training import Ranks

# Labels are dropped by draws that the lesson's own noise does not share.
_DROPPED = 2**41
# Draws of labels to drop are multiples of its inverse, exact in single precision.
_FINE = 1 << 20
# Images between the starts of two seeds, more than a run reads.
_APART = 2**26


@runtime_checkable
class Lessons(Protocol):
    """Lessons of equal weight for each step."""

    def __call__(self, step: int) -> Sequence[Lesson]:
        """This process's lessons of a step; all processes have as many."""
        ...


@dataclass(frozen=True)
class RecordedLessons:
    """Calls from trajectories of the teacher, in random order, epoch after epoch.

    For autoregressive families a call is a whole sequence, teacher-forced under its own mask; for
    diffusion one step of a trajectory. Calls are what the sampler made: under guidance half of
    their rows have no label, as the family's training drops some. A step reads as many as make up
    `batch` images; ValueError when whole calls cannot, the same number in every process.
    """

    calls: CalibrationSet
    batch: int
    seed: int
    ranks: Ranks
    device: torch.device

    def __post_init__(self) -> None:
        images = self.calls.images
        least = images * self.ranks.count
        if self.batch % least:
            among = f" in each of {self.ranks.count} processes" if self.ranks.count > 1 else ""
            raise ValueError(
                f"a step of {self.batch} images is not made of whole recorded calls of "
                f"{images} images{among}: choose a batch that is a multiple of {least}, or "
                "record fewer images a call (calibration: batch)"
            )

    def __call__(self, step: int) -> Sequence[Lesson]:
        """Independent calls; they have no target."""
        per_step = self.batch // self.calls.images
        wanted = range(step * per_step, (step + 1) * per_step)
        calls = [self.calls.calls[self._place(number)] for number in self.ranks.share(wanted)]
        nothing = torch.empty(0, device=self.device)
        return [Lesson.of_call(call.to(self.device), nothing) for call in calls]

    def _place(self, number: int) -> int:
        epoch, place = divmod(number, len(self.calls.calls))
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
        return int(torch.randperm(len(self.calls.calls), generator=generator)[place])


@dataclass(frozen=True)
class ImageLessons:
    """Images drawn one after another, teacher-forced or noised as the family trains.

    Runs of different seeds start at different places of the data.
    Labels are dropped as often as the family's training drops them, so that guidance still has its
    unconditional half. In the folder `encoded` images are kept for other runs. ValueError for
    models that read prompts: images have none.
    """

    draw: Draw
    pipeline: Pipeline
    batch: int
    seed: int
    ranks: Ranks
    encoded: Path | None = None

    def __post_init__(self) -> None:
        if isinstance(self.pipeline.tokenizer, ReadsPrompts):
            raise ValueError(
                f"{self.pipeline.name} draws prompts, which images do not come with: "
                "let it learn from its own samples"
            )

    def __call__(self, step: int) -> Sequence[Lesson]:
        """One lesson of this process's images."""
        first = _APART * self.seed + step * self.batch
        numbers = range(first, first + self.batch)
        part = range(*self._ends(self.ranks.share(numbers)))
        adapter, device = self.pipeline.adapter, self.pipeline.device
        encoded, labels = encoded_images(self.pipeline, self.draw, part, self._home)
        drawn = Randomness(self.seed + _DROPPED, part, device).integers(_FINE) / _FINE
        labels = adapter.without_labels(labels, drawn)
        return [adapter.lesson(encoded, labels, Randomness(self.seed, part, device))]

    @cached_property
    def _home(self) -> Path | None:
        if self.encoded is None:
            return None
        return self.encoded / images_identity(self.pipeline, self.draw)

    def _ends(self, numbers: Sequence[int]) -> tuple[int, int]:
        return numbers[0], numbers[-1] + 1
