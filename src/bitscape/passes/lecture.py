"""The task that the training loop is given: a student that answers lessons beside its teacher."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bitscape.passes.answers import answer
from bitscape.passes.lessons import Lessons
from bitscape.passes.nesting import Nesting
from bitscape.passes.objectives import Answer, Objective
from bitscape.passes.recompute import recomputing
from bitscape.passes.student import StudentLayer
from bitscape.passes.training import Training
from bitscape.structure import Lesson, Pipeline


@dataclass
class Lecture:
    """The task of the training loop: a student that answers lessons beside its teacher."""

    objective: Objective
    training: Training
    pipeline: Pipeline
    teacher: Pipeline | None
    lessons: Lessons
    students: Mapping[str, StudentLayer]
    nesting: Nesting | None = None

    @property
    def module(self) -> nn.Module:
        """The student's network."""
        return self.pipeline.network

    def losses(self, step: int) -> dict[str, Tensor]:
        """The objective's losses, their means over the lessons of a step."""
        source = self.teacher or self.pipeline
        names = self.objective.inside(source)
        found: list[Mapping[str, Tensor]] = []
        for lesson in self.lessons(step):
            theirs = None
            if self.teacher is not None:
                with self._autocast(), torch.no_grad():
                    theirs = answer(self.teacher, lesson, names)
            if self.nesting is None:
                ours = self._answer(lesson, names)
                found.append(self.objective(source, lesson, ours, theirs))
            else:
                found.append(self._nested(self.nesting, source, lesson, names, theirs))
        return {name: torch.stack([each[name] for each in found]).mean() for name in found[0]}

    def _nested(
        self,
        nesting: Nesting,
        source: Pipeline,
        lesson: Lesson,
        names: Sequence[str],
        theirs: Answer | None,
    ) -> dict[str, Tensor]:
        """The losses of one lesson at all widths."""
        at_width: dict[int, Mapping[str, Tensor]] = {}
        widest: Answer | None = None
        for width in nesting.widths:
            for student in self.students.values():
                student.read_at(width)
            ours = self._answer(lesson, names)
            at_width[width] = self.objective(source, lesson, ours, theirs)
            if widest is None:
                widest = ours.detach()
            elif nesting.codistill:
                beside = self.objective(source, lesson, ours, widest)
                at_width[width] = nesting.mixed(at_width[width], beside)
        return nesting.joined(at_width)

    def _answer(self, lesson: Lesson, names: Sequence[str]) -> Answer:
        with self._autocast():
            return answer(self.pipeline, lesson, names)

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Blocks computed twice while the context lasts, if that was asked for."""
        if not self.training.recompute:
            yield
            return
        names = [block.name for block in self.pipeline.adapter.blocks(self.module)]
        with recomputing(self.module, names, self.pipeline.clocks):
            yield

    def _autocast(self) -> Any:
        if self.training.precision == "float32":
            return nullcontext()
        return torch.autocast(self.pipeline.device.type, torch.bfloat16)
