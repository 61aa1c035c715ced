"""The bundled recipes: every method at the schemes it declares, called `<method>-<scheme>`."""

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bitscape.methods import METHODS
from bitscape.models import FAMILIES
from bitscape.recipes.options import with_options
from bitscape.recipes.recipe import Calibration, Recipe, read_recipe

# A step of training reads one recorded call: its batch is that of the recording. Distillation reads
# its calls over and over, so that there have to be more of them.
CALIBRATION = {
    "adaround": Calibration(batch=4),
    "omniquant": Calibration(batch=4),
    "mpq-dm": Calibration(samples=128, keep=20),
    "mpq-dm-faithful": Calibration(samples=128, keep=20),
    "topkld": Calibration(samples=512),
    "robuq": Calibration(samples=512),
    "matryoshka": Calibration(samples=512),
}


def recipe_name(method: str, scheme: str) -> str:
    """`<method>-<scheme>` in lower case, with dashes for what a file name should not hold."""
    return f"{method}-{scheme}".lower().translate(str.maketrans("@,_/=", "-----"))


def bundled() -> dict[str, Recipe]:
    """Every bundled recipe by name."""
    recipes = [
        Recipe(
            name=recipe_name(method, scheme),
            method=method,
            scheme=scheme,
            options=_options(method, scheme),
            calibration=CALIBRATION.get(method, Calibration()),
            families=tuple(FAMILIES),
            description=f"{found.summary} {scheme} at every linear layer.",
        )
        for method, found in METHODS.items()
        for scheme in found.schemes
    ]
    return {recipe.name: recipe for recipe in recipes}


def _options(method: str, scheme: str) -> dict[str, Any]:
    # A range for each step costs nothing at run time: the step is known before the call.
    index = inspect.signature(METHODS[method]).parameters.get("activation_index")
    plain = index is not None and index.default == "none"
    return {"activation_index": "step"} if plain and scheme.endswith(",static") else {}


RECIPES: Mapping[str, Recipe] = bundled()


def find_recipe(name: str) -> Recipe:
    """The bundled recipe `name`, or the one in the YAML file of that path.

    "topkld-w3a16:loss=forward-kl,rate=5e-4,data=shapes" is the bundled one with other options.
    ValueError with the nearest names for an unknown one.
    """
    if name in RECIPES:
        return RECIPES[name]
    base, _, changes = name.partition(":")
    if changes and base in RECIPES:
        return _changed(RECIPES[base], name, changes)
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        if not path.is_file():
            raise FileNotFoundError(f"the recipe {path} does not exist")
        return read_recipe(path)
    near = get_close_matches(name.lower(), RECIPES, n=3, cutoff=0.0)
    raise ValueError(f"unknown recipe {name!r}: nearest are {', '.join(near)}; or give a YAML file")


def _changed(recipe: Recipe, name: str, changes: str) -> Recipe:
    """`recipe` with options, or `data`, as written in `name`; ValueError for one it lacks."""
    parts = changes.split(",")
    data = [part.removeprefix("data=") for part in parts if part.startswith("data=")]
    found = with_options(recipe, [part for part in parts if not part.startswith("data=")])
    return found.model_copy(update={"name": name, "data": [recipe.data, *data][-1]})
