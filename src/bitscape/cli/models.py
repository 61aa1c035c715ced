"""`bitscape models`."""

import typer

from bitscape.api import catalogue
from bitscape.cli import options
from bitscape.cli.terminal import Terminal, table


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("models", help=summary)(models)


def models(json: options.Json = False, verbose: options.Verbose = False) -> None:
    """Print every model that can be named."""
    found = catalogue()
    rows = [
        (m["name"], m["family"], m["style"], m["params"], m["checkpoint"] or "bundled")
        for m in found
    ]
    Terminal(json, verbose).result(
        found, table(("name", "family", "style", "parameters", "weights"), rows)
    )
