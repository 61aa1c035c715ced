"""All studies of one model, each kept as soon as it is done."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bitscape.analysis.activations import activation_study
from bitscape.analysis.bisect import bisection, separable
from bitscape.analysis.steps import step_study
from bitscape.analysis.tolerance import accumulation_study, tolerance_study
from bitscape.analysis.trace import Subject, run
from bitscape.evaluation import Report, silent
from bitscape.files import write_whole
from bitscape.structure import Kind, Pipeline, Role

# Their outputs are added to the stream or leave the network, so no fold rescales them.
_FIXED = frozenset({Role.PROJ, Role.FC2, Role.HEAD, Role.CONV, Role.OUTPUT})

Study = dict[str, Any]


def analyze(
    teacher: Subject,
    student: Pipeline | None,
    *,
    report: Mapping[str, Any] | None = None,
    decibels: float = 10.0,
    threshold: float | None = None,
    work: Path | None = None,
    progress: Report = silent,
) -> dict[str, Study]:
    """The studies as JSON values, by name: steps, layers, first_bad, tolerance, accumulation,
    activations.

    The first three need a quantized `student`, with the `report` of its quantization; the others
    look at full precision alone. Finished studies are kept in `work`, where a killed call goes on;
    the folder has to belong to this very job.
    """
    plans: dict[str, Callable[[], dict[str, Study]]] = {}
    if student is not None:
        other, single = student, separable(teacher.pipeline, student, report or {})
        plans["steps"] = lambda: _steps(teacher, other, single)
        plans["first_bad"] = lambda: {
            "first_bad": asdict(bisection(teacher, other, single=single, threshold=threshold))
        }
    plans["noise"] = lambda: _noise(teacher, decibels)
    plans["activations"] = lambda: {"activations": asdict(activation_study(teacher))}
    found: dict[str, Study] = {}
    for done, (name, plan) in enumerate(plans.items(), start=1):
        found |= _kept(plan, None if work is None else work / f"{name}.json")
        progress("studies", done, len(plans))
    return found


def _steps(teacher: Subject, student: Pipeline, single: bool) -> dict[str, Study]:
    sites = teacher.pipeline.adapter.sites(teacher.pipeline.network)
    linear = [site for site in sites if site.kind is not Kind.ATTEND]
    fixed = [site for site in linear if single or site.role in _FIXED] or linear
    steps, layers = step_study(teacher, teacher.beside(student), [site.name for site in fixed])
    return {"steps": asdict(steps), "layers": asdict(layers)}


def _noise(teacher: Subject, decibels: float) -> dict[str, Study]:
    path = run(teacher)
    return {
        "tolerance": asdict(tolerance_study(teacher, path)),
        "accumulation": asdict(accumulation_study(teacher, path, decibels)),
    }


def _kept(plan: Callable[[], dict[str, Study]], path: Path | None) -> dict[str, Study]:
    if path is not None and path.exists():
        kept: dict[str, Study] = json.loads(path.read_text())
        return kept
    # Read back as JSON, so that a call that went on and an undisturbed one return the same.
    text = json.dumps(plan())
    if path is not None:
        write_whole(path, text.encode())
    found: dict[str, Study] = json.loads(text)
    return found
