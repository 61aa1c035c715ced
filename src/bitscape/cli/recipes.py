"""`bitscape recipes` and `bitscape recipes show NAME`."""

from typing import Annotated

import typer
import yaml

from bitscape.cli import options
from bitscape.cli.terminal import Terminal, table
from bitscape.models import FAMILIES
from bitscape.recipes import RECIPES, find_recipe

Action = Annotated[str | None, typer.Argument(metavar="show", help="Print one in full.")]
Name = Annotated[str | None, typer.Argument(metavar="NAME", help="Its name, or a YAML file.")]


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("recipes", help=summary)(recipes)


def recipes(
    action: Action = None,
    name: Name = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Print every recipe, or one as YAML that can be edited and used as a file."""
    terminal = Terminal(json, verbose)
    if action is None:
        _list(terminal)
    elif action == "show" and name is not None:
        content = find_recipe(name).model_dump(mode="json")
        terminal.result(content, yaml.safe_dump(content, sort_keys=False).rstrip())
    else:
        raise ValueError("write `bitscape recipes`, or `bitscape recipes show NAME`")


def _list(terminal: Terminal) -> None:
    found = [
        {
            "name": recipe.name,
            "method": recipe.method,
            "scheme": recipe.scheme,
            "families": list(recipe.families or FAMILIES),
        }
        for recipe in RECIPES.values()
    ]
    rows = [(r["name"], r["method"], r["scheme"], " ".join(r["families"])) for r in found]
    terminal.result(found, table(("name", "method", "scheme", "families"), rows))
