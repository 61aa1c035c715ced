"""`bitscape recipes` and `bitscape recipes show NAME`."""

from typing import Annotated

import typer
import yaml

from bitscape.cli import options
from bitscape.cli.terminal import Terminal, table
from bitscape.models import FAMILIES
from bitscape.recipes import RECIPES, find_recipe


def register(app: typer.Typer, summary: str) -> None:
    """Add the command and its `show` to the application."""
    group = typer.Typer(invoke_without_command=True, help=summary)
    group.callback()(recipes)
    group.command("show", help="Print one recipe in full.")(show)
    app.add_typer(group, name="recipes")


def recipes(
    context: typer.Context, json: options.Json = False, verbose: options.Verbose = False
) -> None:
    """Print every recipe."""
    if context.invoked_subcommand is not None:
        return
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
    Terminal(json, verbose).result(found, table(("name", "method", "scheme", "families"), rows))


def show(
    name: Annotated[str, typer.Argument(help="Recipe name or YAML file.")],
    json: options.Json = False,
) -> None:
    """Print one recipe as YAML, complete enough to be edited and used as a file."""
    content = find_recipe(name).model_dump(mode="json")
    Terminal(json).result(content, yaml.safe_dump(content, sort_keys=False).rstrip())
