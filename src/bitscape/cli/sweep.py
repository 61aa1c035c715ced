"""`bitscape sweep`."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bitscape.cli import options
from bitscape.cli.estimates import show_estimate
from bitscape.cli.quantities import bytes_of, duration
from bitscape.cli.terminal import Terminal, table
from bitscape.sweeps import (
    Executor,
    LocalExecutor,
    Progress,
    RayExecutor,
    estimate,
    other_versions,
    sweep,
)

Grids = Annotated[
    list[Path], typer.Argument(metavar="GRID...", help="YAML with models, recipes, seeds.")
]
Out = Annotated[Path, typer.Option("--out", help="Folder of the records; an old one continues.")]
ExecutorName = Annotated[str, typer.Option("--executor", help="Where cells run: local or ray.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Cells at once, memory permitting; one a core if left."),
]
Threads = Annotated[
    int,
    typer.Option("--threads", min=1, help="Threads of a cell; its last bits may depend on them."),
]
Memory = Annotated[
    str | None, typer.Option("--memory", help="All workers together at most, such as 8GB.")
]
Address = Annotated[
    str | None, typer.Option("--address", help="Ray cluster to join, such as auto; else one here.")
]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Run failed cells again.")]


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("sweep", help=summary)(run_sweep)


def run_sweep(
    grids: Grids,
    out: Out,
    executor: ExecutorName = "local",
    workers: Workers = None,
    threads: Threads = 1,
    memory: Memory = None,
    address: Address = None,
    retry_failed: Retry = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Run every cell of the grids once; the same command continues where it stopped.

    What a cell yields does not depend on the executor or on the number of workers.
    """
    terminal = Terminal(json, verbose)
    chosen = choose_executor(executor, workers, threads, memory, address)
    if dry_run:
        expected = estimate(grids, out, retry_failed=retry_failed)
        for reason in expected.unready:
            terminal.note(f"not in the estimate: {reason}")
        # How many cells run at once on a cluster is its own affair.
        count = chosen.workers if isinstance(chosen, LocalExecutor) else 1
        show_estimate(terminal, asdict(expected), count)
        return

    def watch(state: Progress) -> None:
        left = "" if state.remaining_seconds is None else duration(state.remaining_seconds)
        last = "" if state.record is None else f"{state.record.model} {state.record.recipe}"
        status = f"{state.done}/{state.total} cells, {state.failed} failed"
        terminal.note(f"{status}{', ETA ' + left if left else ''} {last}".rstrip())

    with terminal.progress() as report:
        records = sweep(
            grids, out, executor=chosen, retry_failed=retry_failed, watch=watch, report=report
        )
    for version, count in other_versions(record.version for record in records).items():
        terminal.note(
            f"{count} of the records {'is' if count == 1 else 'are'} of bitscape {version}, whose "
            "defaults may have been others: run the grid into another --out to have all of one"
        )
    found = [record.model_dump(mode="json") for record in records]
    header = ("model", "recipe", "seed", "status", "seconds", "reason")
    rows = [tuple("" if run[key] is None else run[key] for key in header) for run in found]
    terminal.result(found, table(header, rows))
    if any(record.status == "failed" for record in records):
        raise typer.Exit(1)


def choose_executor(
    name: str, workers: int | None, threads: int, memory: str | None, address: str | None
) -> Executor:
    """The executor that the options describe; ValueError for options it does not have."""
    if name == "local":
        if address is not None:
            raise ValueError("--address is a cluster's: add --executor ray")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        limit = None if memory is None else int(bytes_of(memory))
        return LocalExecutor(workers or max(1, cores // threads), threads, limit)
    if name == "ray":
        if memory is not None:
            raise ValueError("--memory is for --executor local: Ray watches memory itself")
        if workers is not None and address is not None:
            raise ValueError("the cluster decides how many cells run at once: drop --workers")
        return RayExecutor(address, workers, threads)
    raise ValueError(f"no executor {name!r}: choose local or ray")
