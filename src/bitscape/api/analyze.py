"""Where the error of a quantized model comes from: all studies of it, in a folder."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitscape import analysis, artefacts
from bitscape.api.load import NORMAL_FORM, load
from bitscape.api.model import Conditions, Model
from bitscape.api.quantize import Progress, quantize
from bitscape.evaluation import fingerprint, sampler_fingerprint, silent
from bitscape.recipes import Recipe

STUDIES = "analysis.json"

Figures = Callable[[Mapping[str, Any], Path], object]
"""What draws studies into a folder."""


def analyze(
    model: Model,
    out: str | Path,
    *,
    recipe: Recipe | None = None,
    full_precision: Model | None = None,
    conditions: Conditions = 16,
    seed: int = 0,
    noise: float = 10.0,
    threshold: float | None = None,
    figures: Figures | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The studies of `model`, as `analysis.json` in the folder `out` has them.

    A model in full precision is quantized by `recipe` first, or studied alone; one that is
    quantized is compared with `full_precision`, None for that of its name. `noise` is a
    signal-to-noise ratio in dB, `threshold` the error of a bad prefix. `figures` draws into the
    folder as well. A killed call, made again, continues. FileExistsError when `out` exists;
    ValueError for a recipe or a rival that the model cannot have.
    """
    if model.recipe is not None and recipe is not None:
        raise ValueError(f"{model.source or model.name} is quantized already: drop the recipe")
    if model.recipe is None and full_precision is not None:
        raise ValueError(f"{model.name} is full precision itself: drop what it is compared with")
    full = model
    if model.recipe is not None:
        full = full_precision or load(model.name, device=model.device)
    labels = full.pipeline.conditions(full.labels(conditions))
    plan = _Plan(
        full,
        analysis.Subject(full.pipeline, labels, seed),
        None if model.recipe is None else model,
        recipe,
        {
            "model": model.name,
            "recipe": recipe.name if recipe else (model.recipe or {}).get("name"),
            "conditions": labels.tolist(),
            "seed": seed,
            "noise": noise,
            "threshold": threshold,
        },
    )
    plan.write(Path(out), figures, progress or silent)
    found: dict[str, Any] = json.loads((Path(out) / STUDIES).read_text())
    return found


@dataclass(frozen=True)
class _Plan:
    """What is studied: a teacher, and a student that is given or made by `recipe`."""

    full: Model
    teacher: analysis.Subject
    given: Model | None
    recipe: Recipe | None
    settings: dict[str, Any]

    def write(self, out: Path, figures: Figures | None, progress: Progress) -> None:
        """Write the folder `out`, going on where a killed call of the same plan stopped."""
        job = self.job()
        if artefacts.finish_interrupted(out, job):
            return
        artefacts.require_absent(out)
        with artefacts.workspace(out, job) as work:
            student = self.student(work / "quantized", progress)
            found = analysis.analyze(
                self.teacher,
                None if student is None else student.pipeline,
                report=None if student is None else student.report.get("method"),
                decibels=self.settings["noise"],
                threshold=self.settings["threshold"],
                work=work,
                progress=progress,
            )
            with artefacts.whole_folder(out) as folder:
                text = json.dumps({**self.settings, "studies": found}, indent=1) + "\n"
                (folder / STUDIES).write_text(text)
                if figures is not None:
                    figures(found, folder)

    def student(self, kept: Path, progress: Progress) -> Model | None:
        """The quantized model: given, kept by a killed call, or made now."""
        if self.recipe is None:
            return self.given
        if kept.is_dir():
            return load(kept, device=self.full.device, kernel=NORMAL_FORM)
        seed = self.teacher.seed
        return quantize(self.full, self.recipe, out=kept, seed=seed, progress=progress)

    def job(self) -> str:
        """The identity of all that decides the result."""
        given = None if self.given is None else fingerprint(self.given.pipeline.network)
        recipe = None if self.recipe is None else self.recipe.model_dump(mode="json")
        full = sampler_fingerprint(self.teacher.pipeline, len(self.teacher.labels))
        return artefacts.json_sha256({**self.settings, "by": recipe, "full": full, "given": given})
