"""`bitscape inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from bitscape import artefacts
from bitscape.api.catalogue import known_names
from bitscape.cli import options
from bitscape.cli.terminal import Terminal, table

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="An artefact folder.")]


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("inspect", help=summary)(inspect)


def inspect(folder: Folder, json: options.Json = False, verbose: options.Verbose = False) -> None:
    """Print what each site really takes, and the kernel it would run on here."""
    terminal = Terminal(json, verbose)
    _require_folder(folder)
    found = artefacts.inspect(folder)
    keys = ("name", "role", "scheme", "bytes", "kernel")
    rows = [
        (
            *(layer[key] for key in keys),
            "x".join(map(str, layer["shape"])),
            "REAL" if layer["real"] else "SIMULATED",
        )
        for layer in found["layers"]
    ]
    summary = (
        f"{found['weight_bytes']:,} bytes of weights: {found['code_bytes']:,} codes, "
        f"{found['scale_bytes']:,} scales; {found['actual_weight_bits']:,} bits written for "
        f"{found['nominal_weight_bits']:,.0f} nominal"
    )
    header = (*keys, "shape", "arithmetic")
    terminal.result(found, table(header, rows, title=summary))


def _require_folder(folder: Path) -> None:
    """Raise for what is no folder, saying what it is instead."""
    if folder.is_dir():
        return
    if str(folder) in known_names():
        raise ValueError(f"{folder} is no artefact: quantize it, then inspect the folder")
    if folder.exists():
        raise NotADirectoryError(f"{folder} is a file: give the folder that `quantize --out` wrote")
    raise FileNotFoundError(f"{folder} does not exist: give the folder that `quantize --out` wrote")
