"""`bitscape bench`."""

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from bitscape.cli import options
from bitscape.cli.backends import backends, peak_of, row, subject, timed
from bitscape.cli.terminal import Report, Terminal, table
from bitscape.evaluation.storage import write_whole
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
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Time drawing whole batches of images, decoding included."""
    terminal = Terminal(json, verbose)
    rivals, batches = options.words(against), options.numbers(batch, "--batch")
    with terminal.progress() as report:
        measured = _measured(model, rivals, batches, seconds, device, kernel, report)
    result = {"machine": describe_machine(), **measured}
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
        for one in measured["rows"]
    ]
    terminal.result(result, table(header, lines))


def _measured(
    model: str,
    rivals: list[str],
    batches: list[int],
    seconds: float,
    device: str,
    kernel: str,
    report: Report,
) -> dict[str, Any]:
    found = backends(model, rivals, device, kernel)
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
