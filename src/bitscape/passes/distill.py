"""Distillation: other passes quantize the network, then it is trained to be like what it was.

"Dissecting Bit-Level Scaling Laws in Quantizing Vision Generative Models", arXiv:2501.06218.
"""

import copy
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bitscape.formats import Int, QuantScheme
from bitscape.nn import QuantAttend, quantized_sites
from bitscape.passes.base import Context, Field, Pass, check_order, run
from bitscape.passes.lecture import Lecture
from bitscape.passes.lessons import ImageLessons, Lessons, RecordedLessons
from bitscape.passes.objectives import Imitation, Objective
from bitscape.passes.student import StudentLayer, enrolled, static_quantizers
from bitscape.passes.training import Training
from bitscape.structure import Pipeline
from bitscape.training import Ranks, Run, train

EVERY_FIELD: frozenset[Field] = frozenset(
    {"scale", "shift", "rotation", "lowrank", "delta", "codes", "activation"}
)


@dataclass(frozen=True)
class Distill:
    """Quantize by the passes `start`, then train all of it towards `objective`.

    The teacher is the network as it was before. Weights are rounded in the loop with
    straight-through gradients, their scales learnt, activation quantizers in place. What is trained
    reads real images where the context has some, else the calibration calls, which the teacher
    sampled itself. A run that was killed goes on from its last state in the workspace, to the same
    bits; ValueError with step and layer for one that diverges.

    With `widths` the loss is the sum of those of the network read at each of them, the first bits
    of its integers. The greatest has to be that of the scheme.
    """

    before: ClassVar[frozenset[Field]] = EVERY_FIELD
    writes: ClassVar[frozenset[Field]] = EVERY_FIELD

    start: tuple[Pass, ...]
    objective: Objective = Imitation()
    training: Training = Training()
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_order(self.start)
        if self.widths and (min(self.widths) < 1 or len(set(self.widths)) < len(self.widths)):
            raise ValueError(f"widths are bits, each once, got {self.widths}")

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
        teacher = full_precision_twin(pipeline) if self.objective.reads_teacher else None
        unrounded: dict[str, Tensor] = {}
        run(self.start, pipeline, replace(context, unrounded=unrounded))
        self._check_widths(pipeline)
        lessons = self._lessons(pipeline, context)
        ranks, network = Ranks.current(), pipeline.network
        kept = {name: p.requires_grad for name, p in network.named_parameters()}
        with enrolled(network, unrounded) as students:
            ranks.broadcast(network)
            groups = trained_groups(network, students, self.training)
            narrow = _narrow_parameters(network)
            task = Lecture(
                self.objective, self.training, pipeline, teacher, lessons, students, self.widths
            )
            learned = self._trained(task, groups, context)
            with torch.no_grad():
                for name, parameter in network.named_parameters():
                    value = learned[name]
                    # What stays a float goes on being stored in 16 bits.
                    value = value.bfloat16() if name in narrow else value
                    parameter.copy_(value)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(kept.get(name, False))
            parameter.grad = None
        if self.widths:
            context.report["nested"] = sorted(self.widths)

    def _check_widths(self, pipeline: Pipeline) -> None:
        """ValueError unless the greatest width is that of some symmetric integers."""
        layers = quantized_sites(pipeline.network).values()
        coded = [e.coded for e in layers if not isinstance(e, QuantAttend) and e.coded is not None]
        if self.widths and all(each.scheme.format != Int(max(self.widths)) for each in coded):
            raise ValueError(
                f"nested widths {self.widths} need symmetric integers of {max(self.widths)} bits: "
                "choose another scheme"
            )

    def _lessons(self, pipeline: Pipeline, context: Context) -> Lessons:
        batch, seed, ranks = self.training.batch, context.seed, Ranks.current()
        if context.images is not None:
            return ImageLessons(context.images, pipeline, batch, seed, ranks)
        calls = context.calibrated("distillation without images")
        return RecordedLessons(calls, batch, seed, ranks, pipeline.device)

    def _trained(
        self, task: "Lecture", groups: list[dict[str, Any]], context: Context
    ) -> Mapping[str, Tensor]:
        """The averaged parameters by name after training, and the log in the report."""
        plan = self.training.plan(context, self.objective.watched)
        optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99))

        def progress(step: int, steps: int, means: Mapping[str, float]) -> None:
            del means
            context.progress("distilling", step, steps)

        with _folder(context) as folder, task.prepared():
            files = Run(folder)
            try:
                result = train(task, [optimizer], plan, files, progress)
            except FloatingPointError as error:
                raise ValueError(
                    f"distillation stopped: {error}; choose a lower learning rate or another loss"
                ) from error
            lines = files.log.read_text().splitlines() if files.log.exists() else []
        records = [json.loads(line) for line in lines]
        # Seconds differ from run to run, and the report says what the result is made of.
        told = [{k: v for k, v in record.items() if k != "seconds"} for record in records]
        context.report["training"] = {"objective": str(self.objective), "log": told}
        return dict(result.named_parameters())


def full_precision_twin(pipeline: Pipeline) -> Pipeline:
    """A copy of the network with clocks of its own; adapter and tokenizer are shared."""
    shared = {id(part): part for part in (pipeline.tokenizer, pipeline.adapter)}
    twin = copy.deepcopy(pipeline, shared)
    twin.network.requires_grad_(False)
    return twin


def trained_groups(
    network: nn.Module, students: Mapping[str, StudentLayer], training: Training
) -> list[dict[str, Any]]:
    """The groups of AdamW, each with its rate; what is in none takes no gradient."""
    latents = [student.latent for student in students.values()]
    factors = [student.log_factor for student in students.values()]
    tables = [q.table_scale for q in static_quantizers(network).values()]
    own = {id(p) for p in (*latents, *factors, *tables)}
    rest = [p for p in network.parameters() if id(p) not in own]
    groups: list[dict[str, Any]] = [
        {"params": latents, "lr": training.rate, "weight_decay": training.weight_decay},
        {"params": factors, "lr": training.rate * training.scales, "weight_decay": 0.0},
        {"params": rest, "lr": training.rate * training.rest, "weight_decay": 0.0},
    ]
    for table in tables:
        assert table is not None
        # A step of Adam is as large as its rate, and ranges differ by orders of magnitude.
        rate = training.rate * training.ranges * float(table.detach().mean())
        groups.append({"params": [table], "lr": rate, "weight_decay": 0.0})
    used = [group for group in groups if group["params"] and group["lr"]]
    network.requires_grad_(False)
    for group in used:
        for parameter in group["params"]:
            parameter.requires_grad_(True)
    return used


def _narrow_parameters(network: nn.Module) -> set[str]:
    """The names of the float parameters outside of codes that bfloat16 holds exactly."""
    return {
        name
        for name, p in network.named_parameters()
        if not name.endswith((".latent", ".log_factor", ".table_scale"))
        and torch.equal(p.bfloat16().to(p.dtype), p)
    }


@contextmanager
def _folder(context: Context) -> Iterator[Path]:
    """Where the run keeps its state: the workspace, or for the time being a folder of its own."""
    if context.workspace is not None:
        yield context.workspace / "training"
        return
    with tempfile.TemporaryDirectory(prefix="bitscape-") as folder:
        yield Path(folder)
