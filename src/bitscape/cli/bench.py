"""`bitscape bench`."""

import json as json_text
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from bitscape.cli import options
from bitscape.cli.backends import Backend, backends, peak_of, row, subject, timed
from bitscape.cli.terminal import Report, Terminal, table
from bitscape.cli.weights import Weights, is_artefact
from bitscape.files import require_no_folder, write_whole
from bitscape.runtime import describe_machine

Against = Annotated[str, typer.Option("--against", help="Rivals: fp32, bf16 or both.")]
Batches = Annotated[str, typer.Option("--batch", help="Images a call, such as 1,8.")]
Seconds = Annotated[float, typer.Option("--seconds", min=0.1, help="Time for each measurement.")]
Out = Annotated[Path | None, typer.Option("--out", help="JSON file to write as well.")]


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("bench", help=summary)(bench)


def bench(
    model: options.Model,
    against: Against = "fp32,bf16",
    batch: Batches = "1,8",
    seconds: Seconds = 3.0,
    out: Out = None,
    device: options.Device = "cpu",
    kernel: options.Kernel = "auto",
    checkpoint: options.Checkpoint = None,
    tokenizer: options.Tokenizer = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Time drawing whole batches of images, decoding included.

    Released weights are those of MODEL, or of the full precision of an artefact.
    """
    terminal = Terminal(json, verbose)
    rivals, batches = options.words(against), options.numbers(batch, "--batch")
    if out is not None:
        require_no_folder(out)
    given = Weights(checkpoint, tokenizer)
    # An artefact holds its weights; what it came from may need those that are given.
    own = Weights() if is_artefact(model) else given
    with terminal.progress() as report:
        found = backends(
            partial(own.load, model, device=device, kernel=kernel),
            partial(given.load, device=device),
            rivals,
        )
        measured = _measured(found, batches, seconds, report)
    _show(terminal, {"machine": describe_machine(), **measured}, out)


def _show(terminal: Terminal, result: dict[str, Any], out: Path | None) -> None:
    """Write and print what was measured."""
    if out is not None:
        write_whole(out, (json_text.dumps(result, indent=2) + "\n").encode())
    header = ("backend", "scheme", "batch", "median ms", "p10", "p90", "images/s", "weight bytes")
    lines = [
        (
            *(one[key] for key in ("backend", "scheme", "batch")),
            *one["latency_ms"].values(),
            one["images_per_s"],
            one["weight_bytes_resident"],
        )
        for one in result["rows"]
    ]
    terminal.result(result, table(header, lines))


def _measured(
    found: list[Backend], batches: list[int], seconds: float, report: Report
) -> dict[str, Any]:
    total = len(found) + len(batches)
    peaks = []
    for backend in found:
        peaks.append(peak_of(backend, max(batches)))
        report("bench", len(peaks), total)
    models = {backend: backend.make() for backend in found}
    rows = []
    for done, batch in enumerate(batches, start=len(found) + 1):
        latencies = timed(models, batch, seconds)
        for backend, peak in zip(found, peaks, strict=True):
            rows.append(row(backend, models[backend], batch, latencies[backend], peak))
        report("bench", done, total)
    return {**subject(models.values()), "rows": rows}
