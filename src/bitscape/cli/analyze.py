"""`bitscape analyze`."""

from typing import Annotated

import typer

from bitscape import api, artefacts
from bitscape.api.load import NORMAL_FORM
from bitscape.cli import options
from bitscape.cli.terminal import Terminal
from bitscape.recipes import find_recipe
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
    count: options.Count = None,
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
        model, checkpoint=checkpoint, tokenizer=tokenizer, device=device, kernel=NORMAL_FORM
    )
    with terminal.progress() as report:
        result = api.analyze(
            given,
            out,
            recipe=chosen,
            full_precision=None if against is None else api.load(against, device=device),
            conditions=options.conditions(classes, prompt, count),
            seed=seed,
            noise=noise,
            threshold=threshold,
            figures=write_figures,
            progress=report,
        )
    lines = [f"{TITLES[name]}: {study['summary']}" for name, study in result["studies"].items()]
    terminal.result({"out": str(out), **result}, "\n\n".join([*lines, f"written to {out}"]))
