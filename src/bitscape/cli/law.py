"""`bitscape law`."""

from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from bitscape.cli import options
from bitscape.cli.terminal import Terminal
from bitscape.laws import Accounting, Axis, Row, published, read_table, study
from bitscape.reports.study import summary, write_study

Runs = Annotated[
    Path | None, typer.Argument(metavar="[RUNS|CSV]", help="A sweep's folder, its records, a CSV.")
]
Published = Annotated[bool, typer.Option("--published", help="Use the published results.")]
AxisOption = Annotated[str, typer.Option("--axis", help="model-bits or compute-bits.")]
At = Annotated[float | None, typer.Option("--at", help="Quality at which bits are compared.")]
Metric = Annotated[str | None, typer.Option("--metric", help="fid, fd_shapes, nll, ...")]
Bits = Annotated[str, typer.Option("--bits", help="nominal, or actual with scales and leftovers.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for law.json, figures, page.")]


def register(app: typer.Typer, help_line: str) -> None:
    """Add the command to the application."""
    app.command("law", help=help_line)(law)


def law(
    runs: Runs = None,
    use_published: Published = False,
    axis: AxisOption = "model-bits",
    at: At = None,
    metric: Metric = None,
    bits: Bits = "nominal",
    out: Out = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Fit every form to every setting; say what the laws tell and how far to trust them."""
    terminal = Terminal(json, verbose)
    rows = _rows(runs, use_published)
    found = study(rows, _axis(axis), metric=metric, at=at, accounting=_accounting(bits))
    if out is not None:
        written = write_study(found, out)
        terminal.note(f"written to {out}: {', '.join(path.name for path in written)}")
    terminal.result(found.model_dump(mode="json"), summary(found))


def _rows(runs: Path | None, use_published: bool) -> list[Row]:
    if use_published == (runs is not None):
        raise ValueError("give either a sweep's folder, records or a CSV, or --published")
    return published() if runs is None else read_table(runs)


def _axis(text: str) -> Axis:
    if text in get_args(Axis):
        return cast(Axis, text)
    raise ValueError(f"--axis {text!r}: choose of {', '.join(get_args(Axis))}")


def _accounting(text: str) -> Accounting:
    if text in get_args(Accounting):
        return cast(Accounting, text)
    raise ValueError(f"--bits {text!r}: choose of {', '.join(get_args(Accounting))}")
