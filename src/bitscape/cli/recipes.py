"""`bitscape recipes` and `bitscape recipes show NAME`."""

from typing import Annotated

import typer
import yaml

from bitscape.cli import options
from bitscape.cli.terminal import Terminal, table
from bitscape.methods import METHODS
from bitscape.models import FAMILIES
from bitscape.recipes import RECIPES, account, card, find_recipe, released

_LONGEST = 60

Action = Annotated[str | None, typer.Argument(metavar="show", help="Print one in full.")]
Name = Annotated[
    str | None, typer.Argument(metavar="NAME", help="A recipe, a YAML file, or a method.")
]


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("recipes", help=summary)(recipes)


def recipes(
    action: Action = None,
    name: Name = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Print every recipe, one as YAML that can be edited and used as a file, or a method's card.

    The YAML of a recipe ends in its method's card, as comments; before that stands what the weights
    will cost, if the recipe is for one released model.
    """
    terminal = Terminal(json, verbose)
    if action is None:
        _list(terminal)
    elif action == "show" and name is not None:
        _show(terminal, name)
    else:
        raise ValueError("write `bitscape recipes`, or `bitscape recipes show NAME`")


def _show(terminal: Terminal, name: str) -> None:
    if name in METHODS:
        bundled = [recipe.name for recipe in RECIPES.values() if recipe.method == name]
        text = card(name)
        terminal.result({"method": name, "card": text, "recipes": bundled}, text)
        return
    recipe = find_recipe(name)
    content = recipe.model_dump(mode="json")
    yaml_text = yaml.safe_dump(content, sort_keys=False)
    costs = [] if recipe.model is None else [*account(recipe), ""]
    comments = [f"# {line}".rstrip() for line in [*costs, *card(recipe.method).splitlines()]]
    terminal.result(content, "\n".join([yaml_text, *comments]))


def _list(terminal: Terminal) -> None:
    every = [*RECIPES.values(), *released().values()]
    found = [
        {
            "name": recipe.name,
            "method": recipe.method,
            "scheme": recipe.scheme,
            "families": list(recipe.families or FAMILIES),
        }
        for recipe in every
    ]
    rows = [(r.name, r.method, _shown(r.scheme), " ".join(r.families or FAMILIES)) for r in every]
    terminal.result(found, table(("name", "method", "scheme", "families"), rows))


def _shown(scheme: str) -> str:
    """Schemes of released models list single layers; `recipes show` and JSON have them whole."""
    return scheme if len(scheme) <= _LONGEST else f"{scheme[: _LONGEST - 1]}…"
