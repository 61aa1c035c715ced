"""Distillation: other passes quantize the network, then it is trained to be like what it was.

"Dissecting Bit-Level Scaling Laws in Quantizing Vision Generative Models", arXiv:2501.06218.
"""

import copy
import json
import math
import tempfile
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bitscape.formats import Int, QuantScheme
from bitscape.nn import QuantAttend, quantized_sites, take_over
from bitscape.passes.base import Context, Field, Pass, check_order, run
from bitscape.passes.lecture import Lecture
from bitscape.passes.lessons import ImageLessons, Lessons, RecordedLessons
from bitscape.passes.nesting import Nesting
from bitscape.passes.objectives import Imitation, Objective
from bitscape.passes.stages import Stages, check_stages, in_stages
from bitscape.passes.student import LowRank, StudentLayer, enrolled, static_quantizers
from bitscape.passes.trained_groups import trained_groups
from bitscape.passes.training import Training
from bitscape.structure import Pipeline
from bitscape.training import Ranks, Run, gather, shard, train

EVERY_FIELD: frozenset[Field] = frozenset(
    {"scale", "shift", "rotation", "lowrank", "delta", "codes", "activation"}
)


@dataclass(frozen=True)
class Distill:
    """Quantize by the passes `start`, then train all of it towards `objective`.

    A context with a quantized twin that has `begun` takes the place of `start`.
    The teacher is the network as it was before. Weights are rounded in the loop with
    straight-through gradients, their scales learnt, activation quantizers in place. What is trained
    reads real images where the context has some, else the calibration calls, which the teacher
    sampled itself. A run that was killed goes on from its last state in the workspace, to the same
    bits; ValueError with step and layer for one that diverges.

    With `nesting` the loss is the weighted sum of those of the network read at several widths, the
    first bits of its integers. The greatest has to be that of the scheme.

    With a `rank` the weights stay, and a correction of that rank is trained in place of each,
    merged before the rounding: moments are those of two thin matrices, what is stored is the same.
    With `start_samples` the passes `start`, which keep a block's outputs on disk for all calls that
    they read, read the first trajectories of at least so many samples alone.
    With `mix` recorded samples are dealt out anew, to calls of mixed steps.
    With `stages` of roles, the sites that play them are trained one stage after another,
    each as long as `training` says: their weights, scales, static ranges and biases, and nothing
    else of the network.
    """

    before: ClassVar[frozenset[Field]] = EVERY_FIELD
    writes: ClassVar[frozenset[Field]] = EVERY_FIELD

    start: tuple[Pass, ...]
    objective: Objective = Imitation()
    training: Training = Training()
    nesting: Nesting | None = None
    rank: int | None = None
    stages: Stages = ()
    start_samples: int | None = None
    mix: bool = True

    def __post_init__(self) -> None:
        check_order(self.start)
        check_stages(self.stages)
        if self.rank is not None and self.rank < 1:
            raise ValueError(f"a correction has a rank of at least 1, got {self.rank}")
        if self.start_samples is not None and self.start_samples < 1:
            raise ValueError(f"a start reads at least one sample, got {self.start_samples}")
        if self.nesting and self.nesting.codistill and not self.objective.reads_teacher:
            raise ValueError("co-distillation compares two networks, which this loss does not")

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        """Whether the start reads calls, or the training could read nothing else."""
        return not self.objective.reads_target or any(
            step.needs_calibration(scheme) for step in self.start
        )

    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        """Quantize and train, in place."""
        if self.objective.reads_target and context.images is None:
            raise ValueError(
                "this loss is that of the data, which the model's own samples are not: "
                "give images (--data shapes, or a folder)"
            )
        lessons = self._lessons(pipeline, context)
        teacher = full_precision_twin(pipeline) if self.objective.reads_teacher else None
        unrounded: dict[str, Tensor] = {}
        if context.begun is None:
            calls = context.calibration
            if calls is not None and self.start_samples is not None:
                calls = calls.first(self.start_samples)
            run(self.start, pipeline, replace(context, unrounded=unrounded, calibration=calls))
        else:
            begun = context.begun
            take_over(pipeline.network, begun.network, pipeline.clocks, begun.clocks)
        if self.nesting is not None:
            _check_width(pipeline, self.nesting.whole)
        widths = () if self.nesting is None else self.nesting.widths
        network = pipeline.network
        kept = {name: p.requires_grad for name, p in network.named_parameters()}
        with enrolled(network, unrounded, self._low_rank(context), widths) as students:
            Ranks.current().broadcast(network)
            narrow = _narrow_parameters(network, students)
            with _sharded(pipeline, teacher, context.pace.shard) as (student, source):
                self._teach(student, source, lessons, students, narrow, context)
            if widths:
                context.nested = {
                    width: {name: layer.gain(width) for name, layer in students.items()}
                    for width in sorted(widths)
                }
                context.report["nested"] = {str(w): gains for w, gains in context.nested.items()}
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(kept.get(name, False))
            parameter.grad = None

    def _teach(
        self,
        student: Pipeline,
        teacher: Pipeline | None,
        lessons: Lessons,
        names: Iterable[str],
        narrow: Container[str],
        context: Context,
    ) -> None:
        """Train the layers `names` of the student, and all else, stage by stage.

        Parameters that are `narrow` are rounded to 16 bits behind each stage.
        """
        network = student.network
        layers = {name: network.get_submodule(name) for name in names}
        students = {n: layer for n, layer in layers.items() if isinstance(layer, StudentLayer)}
        task = Lecture(
            self.objective, self.training, student, teacher, lessons, students, self.nesting
        )
        for stage, parts in enumerate(self._parts(network, students)):
            network.requires_grad_(False)
            self._train(task, trained_groups(parts, self.training), context, stage)
            with torch.no_grad():
                for name, parameter in network.named_parameters():
                    if name in narrow:
                        # What stays a float goes on being stored in 16 bits.
                        parameter.copy_(parameter.bfloat16())

    def _low_rank(self, context: Context) -> LowRank | None:
        if self.rank is None:
            return None
        return LowRank(self.rank, torch.Generator().manual_seed(context.seed))

    def _parts(
        self, network: nn.Module, students: Mapping[str, StudentLayer]
    ) -> list[list[nn.Module]]:
        """What is trained at a time: the network, or the layers of each stage."""
        if not self.stages:
            return [[network]]
        roles = {name: student.layer.site.role for name, student in students.items()}
        found = in_stages(self.stages, roles)
        if not found:
            raise ValueError(f"no rounded weight plays a role of the stages {self.stages}")
        return [[students[name] for name in names] for names in found]

    def _lessons(self, pipeline: Pipeline, context: Context) -> Lessons:
        batch, seed, ranks = self.training.batch, context.seed, Ranks.current()
        if context.images is not None:
            return ImageLessons(context.images, pipeline, batch, seed, ranks, context.pace.encoded)
        calls = context.calibrated("distillation without images")
        if self.mix:
            # No call has more images than this process reads in a step.
            calls = calls.mixed(seed, math.gcd(max(batch // ranks.count, 1), calls.images))
        return RecordedLessons(calls, batch, seed, ranks, pipeline.device)

    def _train(
        self, task: Lecture, groups: list[dict[str, Any]], context: Context, stage: int
    ) -> None:
        """Leave the averaged parameters in the student, and the log in the report."""
        plan = self.training.plan(context, self.objective.watched)
        if plan.seconds is not None and self.stages:
            plan = replace(plan, seconds=plan.seconds / len(self.stages))
        optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99))

        def progress(step: int, steps: int, means: Mapping[str, float]) -> None:
            del means
            context.progress("distilling", step, steps)

        with _folder(context) as folder, task.prepared():
            files = Run(folder / str(stage) if self.stages else folder)
            try:
                train(task, [optimizer], plan, files, progress)
            except FloatingPointError as error:
                raise ValueError(
                    f"distillation stopped: {error}; choose a lower learning rate or another loss"
                ) from error
            # Asked of the first process, which waits here before it tidies up.
            lines = Ranks.current().shared(
                files.log.read_text().splitlines() if files.log.exists() else []
            )
        if stage == 0:
            context.report["training"] = {"objective": str(self.objective), "log": []}
        told = [self._told(json.loads(line), stage) for line in lines]
        context.report["training"]["log"] += told

    def _told(self, record: Mapping[str, Any], stage: int) -> dict[str, Any]:
        """A line of the log for the report."""
        # Seconds differ from run to run, and the report says what the result is made of.
        told = {name: value for name, value in record.items() if name != "seconds"}
        return told | ({"stage": stage} if self.stages else {})


def full_precision_twin(pipeline: Pipeline) -> Pipeline:
    """A copy of the network with clocks of its own; adapter and tokenizer are shared."""
    shared = {id(part): part for part in (pipeline.tokenizer, pipeline.adapter)}
    twin = copy.deepcopy(pipeline, shared)
    twin.network.requires_grad_(False)
    return twin


def _narrow_parameters(network: nn.Module, students: Mapping[str, StudentLayer]) -> set[str]:
    """The names of the float parameters outside of codes that bfloat16 holds exactly."""
    tables = [q.table_scale for q in static_quantizers(network).values()]
    codes = [p for s in students.values() for p in (*s.moved, *s.factors())]
    own = {id(p) for p in (*codes, *tables)}
    return {
        name
        for name, p in network.named_parameters()
        if id(p) not in own and torch.equal(p.bfloat16().to(p.dtype), p)
    }


def _check_width(pipeline: Pipeline, bits: int) -> None:
    """ValueError unless some weights are symmetric integers of `bits` bits."""
    layers = quantized_sites(pipeline.network).values()
    coded = [e.coded for e in layers if not isinstance(e, QuantAttend) and e.coded is not None]
    if all(each.scheme.format != Int(bits) for each in coded):
        raise ValueError(
            f"nested widths need symmetric integers of {bits} bits, the greatest of them: "
            "choose another scheme"
        )


@contextmanager
def _sharded(
    student: Pipeline, teacher: Pipeline | None, wanted: bool
) -> Iterator[tuple[Pipeline, Pipeline | None]]:
    """Both with sharded networks if that is wanted; at the end the student's is whole again.

    After an error it is left without its parameters. A process on its own shares with nobody.
    """
    if not wanted or Ranks.current().count == 1:
        yield student, teacher
        return
    parts = shard(student)
    yield parts, None if teacher is None else shard(teacher)
    gather(parts.network, student.network)


@contextmanager
def _folder(context: Context) -> Iterator[Path]:
    """Where the run keeps its state: the workspace, or for the time being a folder of its own.

    All processes are given that of the first.
    """
    ranks = Ranks.current()
    if context.workspace is not None:
        yield ranks.shared(context.workspace / "training")
        return
    with tempfile.TemporaryDirectory(prefix="bitscape-") as folder:
        yield ranks.shared(Path(folder))
