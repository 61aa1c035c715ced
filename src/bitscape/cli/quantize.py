"""`bitscape quantize`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bitscape import api, artefacts
from bitscape.calibration import CalibrationSet
from bitscape.cli import options
from bitscape.cli.estimates import show_estimate
from bitscape.cli.quantities import of_peaks
from bitscape.cli.terminal import Terminal
from bitscape.recipes import find_recipe, with_options
from bitscape.runtime import peaks

Calibration = Annotated[
    Path | None, typer.Option("--calibration", help="Recorded calls to use instead of new ones.")
]


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("quantize", help=summary)(quantize)


def quantize(
    model: options.Model,
    recipe: options.Recipe,
    out: options.Out,
    option: options.Options = None,
    calibration: Calibration = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    checkpoint: options.Checkpoint = None,
    tokenizer: options.Tokenizer = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Quantize MODEL into an artefact folder.

    Unfinished work is kept in OUT.partial: after a kill, the same command continues there and ends
    in the same result.
    """
    terminal = Terminal(json, verbose)
    chosen = with_options(find_recipe(recipe), option or ())
    artefacts.require_free(out)
    if chosen.trains():
        terminal.note("this recipe trains: `bitscape distill` takes data, steps and a time limit")
    source = api.load(model, checkpoint=checkpoint, tokenizer=tokenizer, device=device)
    if dry_run:
        show_estimate(terminal, asdict(api.estimate_quantize(source, chosen)))
        return
    calls = None if calibration is None else _recorded(calibration)
    with terminal.progress() as report:
        result = api.quantize(
            source, chosen, out=out, calibration=calls, seed=seed, progress=report
        )
    for layer in result.report["layers"]:
        terminal.detail(f"{layer['name']}: {layer['scheme']}, {layer['kernel']}")
    keys = ("weight_bytes", "code_bytes", "scale_bytes", "nominal_weight_bits")
    memory = peaks()
    found = {
        "out": str(out),
        "model": result.name,
        "recipe": chosen.name,
        "seed": seed,
        **{key: result.report[key] for key in (*keys, "actual_weight_bits")},
        **memory,
    }
    terminal.result(
        found,
        f"{result.name} by {chosen.name} in {out}: {found['weight_bytes']:,} bytes of weights, "
        f"{found['actual_weight_bits']:,} bits for {found['nominal_weight_bits']:,.0f} nominal, "
        f"{of_peaks(memory)}",
    )


def _recorded(folder: Path) -> CalibrationSet:
    """The calls in `folder`; FileNotFoundError that names the option for no folder."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"--calibration {folder} is no folder: give one of recorded calls, or drop it"
        )
    return CalibrationSet.load(folder)
