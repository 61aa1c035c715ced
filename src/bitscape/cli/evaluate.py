"""`bitscape evaluate`."""

import json as json_text
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from bitscape import api, artefacts
from bitscape.cli import options
from bitscape.cli.estimates import show_estimate
from bitscape.cli.terminal import Terminal, table
from bitscape.evaluation import Settings
from bitscape.evaluation.storage import write_whole

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
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    kernel: options.Kernel = "reference",
    bits: options.Bits = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Measure MODEL with the bundled protocol.

    With --out or --workspace, samples are kept until the result is written: after a kill, the same
    command continues and ends in the same result.
    """
    terminal = Terminal(json, verbose)
    settings = Settings(n, tuple(range(seed, seed + seeds)), losses, paths)
    job = artefacts.json_sha256(
        {"evaluate": [model, against, kernel, bits, asdict(settings), str(workspace)]}
    )
    if out is not None:
        artefacts.require_free(out)
    loaded = api.load(model, device=device, kernel=kernel, bits=bits)
    terminal.kernels(loaded.choices)
    if dry_run:
        beside = loaded.recipe is not None or against is not None
        show_estimate(terminal, asdict(api.estimate_evaluate(loaded, settings, beside=beside)))
        return
    rival = None if against is None else api.load(against, device=device)
    with terminal.progress() as report:
        measure = partial(api.evaluate, loaded, rival, settings=settings, progress=report)
        result = _kept(measure, out, workspace, job)
    terminal.result(result, table(("figure", "value", "std", "full precision"), _rows(result)))


def _kept(
    measure: Callable[..., dict[str, Any]], out: Path | None, workspace: Path | None, job: str
) -> dict[str, Any]:
    """The result of `measure`, written to `out`; its samples are kept beside it until then."""
    if out is None:
        return measure(workspace=workspace)
    if artefacts.finish_interrupted(out, job):
        found: dict[str, Any] = json_text.loads(out.read_text())
        return found
    artefacts.require_absent(out)
    with artefacts.workspace(out, job) as work:
        result = measure(workspace=workspace or work)
        write_whole(out, (json_text.dumps(result, indent=2) + "\n").encode())
    return result


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
