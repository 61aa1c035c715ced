"""`bitscape analyze`."""

import json as json_text
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from bitscape import api, artefacts
from bitscape.analysis import Subject, analyze
from bitscape.cli import options
from bitscape.cli.terminal import Terminal
from bitscape.evaluation import Report, fingerprint, sampler_fingerprint
from bitscape.recipes import Recipe, find_recipe
from bitscape.reports.analysis import TITLES, write_figures

RecipeName = Annotated[
    str | None,
    typer.Option("--recipe", help="Quantizes MODEL first; without one only full precision."),
]
Noise = Annotated[
    float, typer.Option("--noise", help="Signal-to-noise ratio of the accumulation study in dB.")
]
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", help="Error of a bad prefix; half of the whole error if left."),
]


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("analyze", help=summary)(run)


def run(
    model: options.Model,
    out: options.Out,
    recipe: RecipeName = None,
    against: options.Against = None,
    classes: options.Classes = None,
    prompt: options.Prompts = None,
    count: options.Count = 16,
    noise: Noise = 10.0,
    threshold: Threshold = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    checkpoint: options.Checkpoint = None,
    tokenizer: options.Tokenizer = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Say where the error of a quantized MODEL comes from, step by step and layer by layer.

    Unfinished work is kept in OUT.partial: after a kill, the same command continues there.
    """
    terminal = Terminal(json, verbose)
    artefacts.require_free(out)
    chosen = None if recipe is None else find_recipe(recipe)
    given = api.load(
        model, checkpoint=checkpoint, tokenizer=tokenizer, device=device, kernel="none"
    )
    if given.recipe is not None and chosen is not None:
        raise ValueError(f"{model} is quantized already: drop --recipe")
    if against is not None and given.recipe is None:
        raise ValueError(f"{model} is full precision itself: drop --against")
    full = given if given.recipe is None else api.load(against or given.name, device=device)
    labels = full.pipeline.conditions(full.labels(options.conditions(classes, prompt, count)))
    plan = _Plan(
        Subject(full.pipeline, labels, seed),
        None if given.recipe is None else given,
        chosen,
        {
            "model": given.name,
            "recipe": chosen.name if chosen else (given.recipe or {}).get("name"),
            "conditions": labels.tolist(),
            "seed": seed,
            "noise": noise,
            "threshold": threshold,
        },
    )
    with terminal.progress() as report:
        plan.write(full, out, report)
    result: dict[str, Any] = json_text.loads((out / "analysis.json").read_text())
    lines = [f"{TITLES[name]}: {study['summary']}" for name, study in result["studies"].items()]
    terminal.result({"out": str(out), **result}, "\n\n".join([*lines, f"written to {out}"]))


@dataclass(frozen=True)
class _Plan:
    """What is studied: a teacher, and a student that is given or made by `recipe`."""

    teacher: Subject
    given: api.Model | None
    recipe: Recipe | None
    settings: dict[str, Any]

    def write(self, full: api.Model, out: Path, report: Report) -> None:
        """Write the folder `out`, going on where a killed call of the same plan stopped."""
        job = self.job()
        if artefacts.finish_interrupted(out, job):
            return
        artefacts.require_absent(out)
        with artefacts.workspace(out, job) as work:
            student = self.student(full, work / "quantized", report)
            found = analyze(
                self.teacher,
                None if student is None else student.pipeline,
                report=None if student is None else student.report.get("method"),
                decibels=self.settings["noise"],
                threshold=self.settings["threshold"],
                work=work,
                progress=report,
            )
            with artefacts.whole_folder(out) as folder:
                text = json_text.dumps({**self.settings, "studies": found}, indent=1) + "\n"
                (folder / "analysis.json").write_text(text)
                write_figures(found, folder)

    def student(self, full: api.Model, kept: Path, report: Report) -> api.Model | None:
        """The quantized model: given, kept by a killed call, or made now."""
        if self.recipe is None:
            return self.given
        if kept.is_dir():
            return api.load(kept, device=full.device, kernel="none")
        seed = self.teacher.seed
        return api.quantize(full, self.recipe, out=kept, seed=seed, progress=report)

    def job(self) -> str:
        """The identity of all that decides the result."""
        given = None if self.given is None else fingerprint(self.given.pipeline.network)
        recipe = None if self.recipe is None else self.recipe.model_dump(mode="json")
        full = sampler_fingerprint(self.teacher.pipeline, len(self.teacher.labels))
        return artefacts.json_sha256({**self.settings, "by": recipe, "full": full, "given": given})
