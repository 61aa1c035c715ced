"""Running a plan: quantize each model in each setting, draw the same pictures, measure."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bitscape.api import Model, evaluate, load, quantize
from bitscape.artefacts import is_artefact
from bitscape.artefacts.layout import WEIGHTS
from bitscape.evaluation import Settings
from bitscape.reports.committed import Committed
from bitscape.reports.results import Difference, Panel, Row, Setting
from bitscape.reports.settings import Plan
from bitscape.sweeps import FULL_PRECISION

Say = Callable[[str], None]
"""Tell the user what is being done now."""


def collect(
    plan: Plan, artefacts: Path, workspace: Path, committed: Committed, say: Say
) -> tuple[Panel, ...]:
    """Every model of `plan` in every setting; artefacts stay in a folder each, samples are kept
    in `workspace`."""
    return tuple(
        measure_panel(name, plan, artefacts, workspace, committed, say) for name in plan.models
    )


def measure_panel(
    name: str, plan: Plan, artefacts: Path, workspace: Path, committed: Committed, say: Say
) -> Panel:
    """One model in every setting."""
    full = load(name)
    rows = []
    for setting in plan.settings:
        say(f"{name}, {setting.title}, {setting.method}")
        artefact = artefacts / f"{full.pipeline.family}-{setting.recipe}"
        model = stored(full, setting, artefact, plan.seed)
        numbers = measure(model, full, plan, workspace)
        size = (artefact / WEIGHTS).stat().st_size
        distance = committed.distance(name, setting.recipe)
        rows.append(to_row(setting, model, numbers, size, distance, plan))
    network = full.pipeline.network
    return Panel(
        model=name,
        family=full.pipeline.family,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        loss_name=full.pipeline.adapter.loss_name,
        rows=tuple(rows),
    )


def stored(full: Model, setting: Setting, artefact: Path, seed: int) -> Model:
    """`full` in the given setting, written to `artefact` in place of an artefact that is there."""
    if is_artefact(artefact):
        shutil.rmtree(artefact)
    if setting.recipe == FULL_PRECISION:
        full.save(artefact)
        return full
    return quantize(full, setting.recipe, out=artefact, seed=seed)


def measure(model: Model, full: Model, plan: Plan, workspace: Path) -> dict[str, Any]:
    """What `evaluate` reports at the plan's sample counts, beside full precision."""
    settings = Settings(n=plan.samples, seeds=(plan.seed,), losses=plan.lessons, paths=1)
    reference = None if model is full else full
    return evaluate(model, reference, settings=settings, workspace=workspace)


def to_row(
    setting: Setting,
    model: Model,
    numbers: dict[str, Any],
    file_bytes: int,
    committed: float | None,
    plan: Plan,
) -> Row:
    """One evaluated model as a row: the first picture of each class, and its numbers."""
    adapter = model.pipeline.adapter
    loss = numbers[adapter.loss_name]
    difference = loss.get("difference")
    return Row(
        setting=setting,
        pictures=model.sample(list(range(adapter.num_classes)), seed=plan.seed),
        file_bytes=file_bytes,
        fd_preview=numbers["fd_shapes"]["mean"],
        fd_committed=committed,
        class_accuracy=numbers["class_accuracy"]["mean"],
        loss=loss["mean"],
        loss_difference=Difference(**difference) if difference else None,
    )
