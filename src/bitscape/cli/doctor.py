"""`bitscape doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from bitscape import api
from bitscape.cli import options
from bitscape.cli.terminal import Terminal, table

Checkpoint = Annotated[
    Path, typer.Argument(metavar="CHECKPOINT", help="A file or a diffusers folder.")
]


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("doctor", help=summary)(doctor)


def doctor(
    checkpoint: Checkpoint, json: options.Json = False, verbose: options.Verbose = False
) -> None:
    """Print which network or tokenizer CHECKPOINT is; an error when it would not load."""
    found = api.doctor(checkpoint)
    keys = ("kind", "layout", "part", "dtype", "parameters")
    rows = [
        (" or ".join(f"{each['family']}-{size}" for size in each["sizes"]), *map(each.get, keys))
        for each in found["found"]
    ]
    title = f"{checkpoint}: {found['format']}, {found['bytes']:,} bytes"
    Terminal(json, verbose).result(found, table(("model", *keys), rows, title=title))
