"""`bitscape evaluate`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from bitscape import api, artefacts
from bitscape.cli import options
from bitscape.cli.estimates import show_estimate
from bitscape.cli.terminal import Terminal, table
from bitscape.cli.weights import Weights, is_artefact
from bitscape.evaluation import Settings

Out = Annotated[Path | None, typer.Option("--out", help="JSON file to write; it must not exist.")]
Count = Annotated[int, typer.Option("--n", help="Images a seed.")]
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="How many seeds, from --seed on.")]
Losses = Annotated[int, typer.Option("--losses", help="Held-out images for the loss.")]
Paths = Annotated[int, typer.Option("--paths", help="Sampled images behind KL and agreement.")]
Workspace = Annotated[
    Path | None,
    typer.Option("--workspace", help="Where samples are kept; shared by several models."),
]


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("evaluate", help=summary)(evaluate)


def evaluate(
    model: options.Model,
    against: options.Against = None,
    out: Out = None,
    n: Count = Settings.n,
    seeds: Seeds = 3,
    losses: Losses = Settings.losses,
    paths: Paths = Settings.paths,
    workspace: Workspace = None,
    sampler: options.Sampler = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    kernel: options.Kernel = "reference",
    checkpoint: options.Checkpoint = None,
    tokenizer: options.Tokenizer = None,
    bits: options.Bits = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Measure MODEL with the bundled protocol.

    With --out or --workspace, samples are kept until the result is written: after a kill, the same
    command continues and ends in the same result. Released weights are those of MODEL, or of the
    full precision beside an artefact.
    """
    terminal = Terminal(json, verbose)
    settings = Settings(n, tuple(range(seed, seed + seeds)), losses, paths)
    if out is not None:
        artefacts.require_free(out)
    own, theirs = Weights(checkpoint, tokenizer), Weights()
    if is_artefact(model):
        own, theirs = theirs, own
    drawn = options.sampler(sampler)
    loaded = own.load(model, sampler=drawn, device=device, kernel=kernel, bits=bits)
    terminal.kernels(loaded.choices)
    if dry_run:
        beside = loaded.recipe is not None or against is not None
        show_estimate(terminal, asdict(api.estimate_evaluate(loaded, settings, beside=beside)))
        return
    # What an artefact came from is found by its name, and released weights go there.
    full = against or (loaded.name if any(theirs) else None)
    rival = None if full is None else theirs.load(full, device=device)
    with terminal.progress() as report:
        result = api.evaluate(
            loaded, rival, settings=settings, workspace=workspace, out=out, progress=report
        )
    terminal.result(result, table(("figure", "value", "std", "full precision"), _rows(result)))


def _rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Every figure with its noise and full precision's value."""
    beside = result["full_precision"]
    rows = []
    for key, entry in result.items():
        if not isinstance(entry, dict) or "mean" not in entry:
            continue
        spread = entry.get("std", entry.get("standard_error"))
        theirs = beside[key]["mean"] if key in beside else None
        rows.append((key, *(_number(value) for value in (entry["mean"], spread, theirs))))
    return rows


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
