"""`bitscape distill`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bitscape import api, artefacts
from bitscape.cli import options
from bitscape.cli.estimates import show_estimate
from bitscape.cli.pictures import write_png
from bitscape.cli.quantities import of_peaks
from bitscape.cli.terminal import Terminal
from bitscape.recipes import find_recipe, with_options
from bitscape.reports import curves
from bitscape.runtime import peaks
from bitscape.training import process_group

Data = Annotated[
    str | None, typer.Option("--data", help="samples (its own), shapes, or a folder of images.")
]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Steps of training.")]
Batch = Annotated[int | None, typer.Option("--batch", min=1, help="Images a step, all processes.")]
Rate = Annotated[float | None, typer.Option("--learning-rate", min=0, help="Rate of the weights.")]
Loss = Annotated[
    str | None, typer.Option("--loss", help="topkld, forward-kl, ..., or data: no teacher.")
]
Init = Annotated[
    str | None, typer.Option("--init", help="A method, or an artefact of the same scheme.")
]
Minutes = Annotated[float | None, typer.Option("--minutes", min=0.01, help="Time limit.")]
Saving = Annotated[float, typer.Option("--save-minutes", min=0, help="How often to save.")]

Shard = Annotated[
    bool, typer.Option("--shard", help="Each process of torchrun holds a part of the weights.")
]


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("distill", help=summary)(distill)


def distill(
    model: options.Model,
    recipe: options.Recipe,
    out: options.Out,
    data: Data = None,
    steps: Steps = None,
    batch: Batch = None,
    learning_rate: Rate = None,
    loss: Loss = None,
    init: Init = None,
    option: options.Options = None,
    minutes: Minutes = None,
    save_minutes: Saving = 2.0,
    shard: Shard = False,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    checkpoint: options.Checkpoint = None,
    tokenizer: options.Tokenizer = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Quantize MODEL and train it towards full precision, into an artefact folder.

    After a kill the same command continues. Under torchrun all processes share each step.
    """
    terminal = Terminal(json, verbose)
    given = {"steps": steps, "batch": batch, "rate": learning_rate, "loss": loss}
    wanted = {name: value for name, value in given.items() if value is not None}
    named = with_options(find_recipe(recipe), option or ())
    chosen = api.trained_recipe(named, start=init, data=data, **wanted)
    with process_group(device) as (place, first):
        if first:
            artefacts.require_free(out)
        source = api.load(model, checkpoint=checkpoint, tokenizer=tokenizer, device=place)
        if dry_run:
            show_estimate(terminal, asdict(api.estimate_quantize(source, chosen)))
            return
        with terminal.progress() as report:
            result = api.distill(
                source,
                chosen,
                out=out,
                start=init,
                seed=seed,
                minutes=minutes,
                save_minutes=save_minutes,
                shard=shard,
                progress=report if first else None,
            )
        if first:
            _finish(terminal, result, out, chosen.name)


def _finish(terminal: Terminal, result: api.Model, out: Path, recipe: str) -> None:
    """Draw the curves and say what came out."""
    log = result.report["method"]["training"]["log"]
    memory = peaks()
    write_png(curves.picture(log), out / "training.png")
    found = {
        "out": str(out),
        "model": result.name,
        "recipe": recipe,
        "steps": log[-1]["step"],
        "first": log[0],
        "last": log[-1],
        "weight_bytes": result.report["weight_bytes"],
        **memory,
    }
    name = "distance" if "distance" in log[-1] else "loss"
    terminal.result(
        found,
        f"{result.name} by {recipe} in {out}: {name} {log[0][name]:.4g} to {log[-1][name]:.4g} in "
        f"{found['steps']} steps, {found['weight_bytes']:,} bytes of weights, {of_peaks(memory)}",
    )
