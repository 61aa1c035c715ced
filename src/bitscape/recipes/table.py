"""The bundled recipes: every method at the schemes it declares, called `<method>-<scheme>`."""

import inspect
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import starmap
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bitscape.formats import parse_scheme
from bitscape.laws import split_name
from bitscape.methods import METHODS
from bitscape.models import FAMILIES
from bitscape.recipes.options import with_options
from bitscape.recipes.recipe import Calibration, Recipe, fault, read_recipe, slug
from bitscape.recipes.released import released


def plain_recipe(method: str, scheme: str) -> Recipe:
    """The method at the scheme, with the method's own settings; called `<method>-<scheme>`."""
    return Recipe(
        name=f"{method}-{slug(scheme)}",
        method=method,
        scheme=scheme,
        options=_options(method, scheme),
        calibration=Calibration.model_validate(METHODS[method].calibration),
        families=tuple(FAMILIES),
        description=f"{METHODS[method].summary} {scheme} at every linear layer.",
    )


def bundled() -> dict[str, Recipe]:
    """Every bundled recipe by name."""
    pairs = [(method, scheme) for method, found in METHODS.items() for scheme in found.schemes]
    return {recipe.name: recipe for recipe in starmap(plain_recipe, pairs)}


def _options(method: str, scheme: str) -> dict[str, Any]:
    # A range for each step costs nothing at run time: the step is known before the call.
    index = inspect.signature(METHODS[method]).parameters.get("activation_index")
    plain = index is not None and index.default == "none"
    return {"activation_index": "step"} if plain and scheme.endswith(",static") else {}


RECIPES: Mapping[str, Recipe] = bundled()
_SLUGS: Mapping[str, str] = {slug(recipe.scheme): recipe.scheme for recipe in RECIPES.values()}


def find_recipe(name: str) -> Recipe:
    """The recipe `name`, bundled or `<method>-<any scheme>`, or the one in the YAML file `name`.

    "topkld-w3a16:loss=forward-kl,rate=5e-4,data=shapes" is the bundled one with other options.
    ValueError with the nearest names for an unknown one, and for a scheme the method cannot write.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        if not path.is_file():
            raise FileNotFoundError(f"the recipe {path} does not exist")
        return read_recipe(path)
    base, changes = split_name(name)
    found = RECIPES.get(base) or released().get(base) or _spelled(base)
    if found is None:
        near = get_close_matches(name.lower(), [*RECIPES, *released()], n=3, cutoff=0.0)
        raise ValueError(
            f"unknown recipe {name!r}: nearest are {', '.join(near)}; or give a YAML file"
        )
    return _changed(found, name, changes) if changes else found


def _spelled(name: str) -> Recipe | None:
    """The method and scheme that `name` spells; None when it spells none.

    "gptq-w5a16@g32", or "gptq-w4a8-static" with dashes, as bundled recipes of other methods have.
    """
    for method in sorted(METHODS, key=len, reverse=True):
        if name.startswith(f"{method}-"):
            rest = name.removeprefix(f"{method}-")
            try:
                scheme = parse_scheme(_SLUGS.get(rest, rest))
            except ValueError:
                return None
            return RECIPES.get(f"{method}-{slug(scheme.name)}") or _made(method, scheme.name)
    return None


def _made(method: str, scheme: str) -> Recipe:
    try:
        return plain_recipe(method, scheme)
    except ValidationError as error:
        raise ValueError(fault(error)) from error


def _changed(recipe: Recipe, name: str, changes: Sequence[str]) -> Recipe:
    """`recipe` with options, or `data`, as written in `name`; ValueError for one it lacks."""
    data = [part.removeprefix("data=") for part in changes if part.startswith("data=")]
    found = with_options(recipe, [part for part in changes if not part.startswith("data=")])
    return found.model_copy(update={"name": name, "data": [recipe.data, *data][-1]})
