"""Names of recipes and methods with options, as records have them: "topkld:k=75,rate=1e-3"."""

import re
from collections.abc import Collection, Iterable


def split_name(name: str) -> tuple[str, list[str]]:
    """What `name` begins with, and the options behind it, each "NAME=VALUE"."""
    base, _, changes = name.partition(":")
    # Lists have commas of their own.
    return base, re.split(r",(?![^\[]*\])", changes) if changes else []


def shared_options(names: Iterable[str]) -> list[str]:
    """The options that all names with options have in common, "steps=200", if there are two."""
    several = {name: options for name in names if (options := _parts(name)[1])}
    if len(several) < 2:
        return []
    first, *others = several.values()
    return [option for option in first if all(option in other for other in others)]


def sharing(names: Iterable[str], kind: str) -> list[str]:
    """A sentence on what names of a `kind`, "recipes", have in common; none where it is nothing."""
    shared = shared_options(names)
    return [f"All {kind} with options were run with {', '.join(shared)}."] if shared else []


def shortened(name: str, shared: Collection[str]) -> str:
    """The name without the `shared` options; of a file the stem."""
    base, options, width = _parts(name)
    own = ",".join(option for option in options if option not in shared)
    return base.removesuffix(".yaml") + (f":{own}" if own else "") + width


def order(name: str) -> tuple[tuple[str, float], ...]:
    """A key that sorts names by their words, and by their numbers where words are equal."""
    parts = re.split(r"(?<==)(\d+(?:\.\d+)?(?:e-?\d+)?)\b", name)
    words = zip(parts[::2], [*map(float, parts[1::2]), 0.0], strict=True)
    return tuple(words)


def _parts(name: str) -> tuple[str, list[str], str]:
    """The beginning, the options, and " at 3 bits" where nested codes were read at a width."""
    whole, at, width = name.partition(" at ")
    base, options = split_name(whole)
    return base, options, at + width
