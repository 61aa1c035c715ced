"""The task that the training loop is given: a student that answers lessons beside its teacher."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bitscape.formats import Int
from bitscape.passes.answers import answer
from bitscape.passes.lessons import Lessons
from bitscape.passes.objectives import Objective
from bitscape.passes.recompute import recomputing
from bitscape.passes.student import StudentLayer
from bitscape.passes.training import Training
from bitscape.structure import Pipeline


@dataclass
class Lecture:
    """The task of the training loop: a student that answers lessons beside its teacher."""

    objective: Objective
    training: Training
    pipeline: Pipeline
    teacher: Pipeline | None
    lessons: Lessons
    students: Mapping[str, StudentLayer]
    widths: tuple[int, ...] = ()

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
            at_width: dict[str, Mapping[str, Tensor]] = {}
            for width in self.widths or (None,):
                self._read_at(width)
                with self._autocast():
                    ours = answer(self.pipeline, lesson, names)
                at_width[f"_{width}"] = self.objective(source, lesson, ours, theirs)
            found.append(_joined(at_width) if self.widths else at_width["_None"])
        return {name: torch.stack([each[name] for each in found]).mean() for name in found[0]}

    def _read_at(self, width: int | None) -> None:
        for student in self.students.values():
            nested = student.scheme.format == Int(max(self.widths, default=0) or 8)
            student.width = width if nested else None

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


def _joined(at_width: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The sums over widths by their names, and the losses of each width with the width behind."""
    first = next(iter(at_width.values()))
    sums = {name: torch.stack([each[name] for each in at_width.values()]).sum() for name in first}
    own = {f"{n}{w}": v.detach() for w, each in at_width.items() for n, v in each.items()}
    return sums | own
