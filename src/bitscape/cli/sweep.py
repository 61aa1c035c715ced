"""`bitscape sweep`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bitscape.cli import options
from bitscape.cli.estimates import show_estimate
from bitscape.cli.quantities import duration
from bitscape.cli.terminal import Terminal, table
from bitscape.sweeps import Progress, estimate, sweep

Grid = Annotated[Path, typer.Argument(metavar="GRID", help="YAML with models, recipes, seeds.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the records; an old one continues.")]
Executor = Annotated[str, typer.Option("--executor", help="Where cells run: local.")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Run failed cells again.")]


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("sweep", help=summary)(run_sweep)


def run_sweep(
    grid: Grid,
    out: Out,
    executor: Executor = "local",
    retry_failed: Retry = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Run every cell of GRID once; the same command continues where it stopped."""
    terminal = Terminal(json, verbose)
    if not grid.is_file():
        raise FileNotFoundError(f"the grid {grid} does not exist")
    if dry_run:
        show_estimate(terminal, asdict(estimate(grid, out, retry_failed=retry_failed)))
        return

    def watch(state: Progress) -> None:
        left = "" if state.remaining_seconds is None else duration(state.remaining_seconds)
        last = "" if state.record is None else f"{state.record.model} {state.record.recipe}"
        status = f"{state.done}/{state.total} cells, {state.failed} failed"
        terminal.note(f"{status}{', ETA ' + left if left else ''} {last}".rstrip())

    with terminal.progress() as report:
        records = sweep(
            grid, out, executor=executor, retry_failed=retry_failed, watch=watch, report=report
        )
    found = [record.model_dump(mode="json") for record in records]
    header = ("model", "recipe", "seed", "status", "seconds", "reason")
    rows = [tuple("" if run[key] is None else run[key] for key in header) for run in found]
    terminal.result(found, table(header, rows))
    if any(record.status == "failed" for record in records):
        raise typer.Exit(1)
