"""The first bad layer: how much of a network can be quantized before its outputs break."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bitscape.algorithms.sensitivity import divergence
from bitscape.analysis.steps import evenly
from bitscape.analysis.trace import Subject, distance
from bitscape.structure import Call, Pipeline, StepClock

_CALLS = 8
OUTSIDE_BEFORE, OUTSIDE_AFTER = "what comes before the blocks", "what follows the blocks"


@dataclass(frozen=True)
class Bisection:
    """Errors of the outputs with the first units quantized, and where they pass `threshold`.

    Units are single layers, or whole blocks where layers were given a basis in common. `tested`
    maps a number of units to the error: KL in nats a token for discrete families, else the relative
    error. `first_bad` is None when even all of them stay within the threshold.
    """

    units: list[str]
    tested: dict[int, float]
    threshold: float
    first_bad: str | None
    summary: str


def separable(teacher: Pipeline, student: Pipeline, report: Mapping[str, Any]) -> bool:
    """Whether single layers of `student` fit into `teacher`: nothing was folded, no basis changed.

    `report` is that of the quantization, which names transforms.
    """
    if any("transform" in entry for entry in report.get("sites", {}).values()):
        return False
    names = tuple(f"{site.name}." for site in teacher.adapter.sites(teacher.network))
    ours, theirs = (pipeline.network.state_dict() for pipeline in (teacher, student))
    shared = [name for name in ours if not name.startswith(names)]
    return all(name in theirs and torch.equal(ours[name], theirs[name]) for name in shared)


def units_of(pipeline: Pipeline, *, single: bool) -> dict[str, list[str]]:
    """Modules that are quantized together, by name, in execution order."""
    sites = [site.name for site in pipeline.adapter.sites(pipeline.network)]
    if single:
        return {name: [name] for name in sites}
    blocks = [block.name for block in pipeline.adapter.blocks(pipeline.network)]
    inside = [i for i, s in enumerate(sites) if any(s.startswith(f"{b}.") for b in blocks)]
    last = inside[-1] if inside else -1
    outside = [i for i in range(len(sites)) if i not in inside]
    result = {OUTSIDE_BEFORE: [sites[i] for i in outside if i < last]}
    result |= {name: [name] for name in blocks}
    result[OUTSIDE_AFTER] = [sites[i] for i in outside if i > last]
    return {name: modules for name, modules in result.items() if modules}


@torch.no_grad()
def bisection(
    teacher: Subject, student: Pipeline, *, single: bool, threshold: float | None = None
) -> Bisection:
    """Bisect over the quantized prefix; `threshold` None is half the error of the whole."""
    pipeline = teacher.pipeline
    calls = _calls(teacher)
    outputs = [teacher.answer(call) for call in calls]
    teacher.rest()
    units = units_of(pipeline, single=single)
    hybrid = _Hybrid(pipeline, student, units, calls, outputs)
    tested = {0: 0.0, len(hybrid.units): hybrid.error(len(hybrid.units))}
    whole = tested[len(hybrid.units)]
    limit = whole / 2 if threshold is None else threshold
    good, bad = 0, len(hybrid.units)
    while bad - good > 1 and whole > limit:
        middle = (good + bad) // 2
        tested[middle] = hybrid.error(middle)
        good, bad = (good, middle) if tested[middle] > limit else (middle, bad)
    names = list(hybrid.units)
    first = names[bad - 1] if whole > limit else None
    kind = "KL of the tokens" if pipeline.adapter.discrete else "relative error"
    words = (
        f"With everything quantized the {kind} is {whole:.3g}, within the threshold {limit:.3g}."
        if first is None
        else f"The {kind} passes {limit:.3g} with {first}, number {bad} of {len(names)} in order "
        f"of execution: {tested[good]:.3g} before it, {tested[bad]:.3g} with it, {whole:.3g} in "
        "all."
    )
    return Bisection(names, dict(sorted(tested.items())), limit, first, words)


class _Hybrid:
    """The teacher with the first units replaced by the student's."""

    def __init__(
        self,
        teacher: Pipeline,
        student: Pipeline,
        units: dict[str, list[str]],
        calls: Sequence[Call],
        outputs: Sequence[Tensor],
    ) -> None:
        self.teacher, self.student = teacher, student
        self.units, self.calls = units, calls
        self.network = copy.deepcopy(teacher.network)
        self.full = {
            name: self.network.get_submodule(name) for modules in units.values() for name in modules
        }
        self.reference = outputs

    def error(self, count: int) -> float:
        """The mean error of the outputs with the first `count` units quantized."""
        for index, modules in enumerate(self.units.values()):
            for name in modules:
                theirs = self.student.network.get_submodule(name)
                self.network.set_submodule(name, theirs if index < count else self.full[name])
        found = [
            float(self._distance(reference, self._answer(call)).mean())
            for call, reference in zip(self.calls, self.reference, strict=True)
        ]
        for clock in self._clocks():
            clock.unset()
        return sum(found) / len(found)

    def _answer(self, call: Call) -> Tensor:
        for clock in self._clocks():
            clock.set(call.step)
        result: Tensor = self.network.get_submodule(call.net)(*call.args)
        return result

    def _distance(self, reference: Tensor, output: Tensor) -> Tensor:
        if self.teacher.adapter.discrete:
            return divergence(reference, output)
        return distance(reference, output)

    def _clocks(self) -> list[StepClock]:
        """The clocks that layers of the student brought along."""
        return [part for part in self.network.modules() if isinstance(part, StepClock)]


def _calls(subject: Subject) -> list[Call]:
    """A few independent calls of the teacher's trajectory."""
    pipeline, calls = subject.pipeline, []
    pipeline.latents(subject.labels, seed=subject.seed, tap=lambda call, output: calls.append(call))
    replayed = pipeline.adapter.replay(calls)
    return [replayed[i] for i in evenly(len(replayed), _CALLS)]
