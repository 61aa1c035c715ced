"""The bundled recipes: every method at every common scheme, called `<method>-<scheme>`."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bitscape.methods import METHODS
from bitscape.models import FAMILIES
from bitscape.recipes.recipe import Recipe, read_recipe

SCHEMES = (
    *(f"W{bits}A16" for bits in (8, 6, 5, 4, 3, 2)),
    *(f"W{bits}A16,asym" for bits in (4, 3, 2)),
    *(f"W{bits}A16@g64" for bits in (4, 3, 2)),
    *(f"W{bits}A16@g64,asym" for bits in (4, 3, 2)),
    *(f"W{bits}A8" for bits in (8, 6, 4, 3, 2)),
    "W8A8,static",
    "W4A8@g64",
    "W4A8,asym",
    "W6A6",
    "W4A6",
    "W4A4",
    "W4A4@g64",
    "WternaryA16",
    "We2m1A16",
    "We3m0A16",
    "We2m3A16",
    "We3m2A16",
    "FP8",
    "FP8_DYNAMIC",
    "MXFP4",
    "MXFP4A16",
    "MXFP6",
    "MXFP8",
    "NVFP4",
    "NVFP4A16",
)
WORDS = {
    "rtn": "Round to nearest: seconds, no data; the baseline.",
    "gptq": "Greedy rounding on calibration inputs: better below 8 bits, still no training.",
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
            options=_options(scheme),
            families=tuple(FAMILIES),
            description=f"{WORDS[method]} {scheme} at every linear layer.",
        )
        for method in METHODS
        for scheme in SCHEMES
    ]
    return {recipe.name: recipe for recipe in recipes}


def _options(scheme: str) -> dict[str, Any]:
    # A range for each step costs nothing at run time: the step is known before the call.
    return {"activation_index": "step"} if scheme.endswith(",static") else {}


RECIPES: Mapping[str, Recipe] = bundled()


def find_recipe(name: str) -> Recipe:
    """The bundled recipe `name`, or the one in the YAML file of that path.

    ValueError with the nearest names for an unknown one.
    """
    if name in RECIPES:
        return RECIPES[name]
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        if not path.is_file():
            raise FileNotFoundError(f"the recipe {path} does not exist")
        return read_recipe(path)
    near = get_close_matches(name.lower(), RECIPES, n=3, cutoff=0.0)
    raise ValueError(f"unknown recipe {name!r}: nearest are {', '.join(near)}; or give a YAML file")
