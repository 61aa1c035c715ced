"""What a page calls its recipes: short, and in the order of their numbers."""

import re
from collections.abc import Collection, Iterable

from bitscape.recipes import split_name


def shared_options(recipes: Iterable[str]) -> list[str]:
    """The options that all recipes with options have in common, "steps=200", if there are two."""
    several = {recipe: options for recipe in recipes if (options := _parts(recipe)[1])}
    if len(several) < 2:
        return []
    first, *others = several.values()
    return [option for option in first if all(option in other for other in others)]


def shortened(recipe: str, shared: Collection[str]) -> str:
    """The name without the `shared` options; of a file the stem."""
    base, options, width = _parts(recipe)
    own = ",".join(option for option in options if option not in shared)
    return base.removesuffix(".yaml") + (f":{own}" if own else "") + width


def order(name: str) -> tuple[tuple[str, float], ...]:
    """A key that sorts names by their words, and by their numbers where words are equal."""
    parts = re.split(r"(?<==)(\d+(?:\.\d+)?(?:e-?\d+)?)\b", name)
    words = zip(parts[::2], [*map(float, parts[1::2]), 0.0], strict=True)
    return tuple(words)


def _parts(recipe: str) -> tuple[str, list[str], str]:
    """The recipe, its options, and " at 3 bits" where nested codes were read at a width."""
    name, at, width = recipe.partition(" at ")
    base, options = split_name(name)
    return base, options, at + width
