"""The options of a trajectory: which names a family has, and which values each of them takes."""

import inspect
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from types import NoneType
from typing import Any, get_args

# An int stands where a float is asked for, and numbers of numpy where Python's are.
_NUMBERS: Mapping[type, type] = {int: Integral, float: Real}
_WORDS: Mapping[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "a word",
    bool: "true or false",
    NoneType: "null",
}


def option_kinds(trajectory: Callable[..., Any]) -> dict[str, tuple[type, ...]]:
    """The types that each keyword option of `trajectory` takes: {"guidance": (float,), ...}."""
    parameters = inspect.signature(trajectory).parameters.values()
    own = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    return {p.name: get_args(p.annotation) or (p.annotation,) for p in own}


def check_options(known: Mapping[str, tuple[type, ...]], options: Mapping[str, Any]) -> None:
    """ValueError for one of `options` that is not `known`, or whose value has no known type."""
    for name in sorted(options.keys() - known.keys()):
        raise ValueError(f"unknown sampler option {name!r}: one of {', '.join(sorted(known))}")
    for name, value in options.items():
        if not any(_is_a(kind, value) for kind in known[name]):
            wanted = " or ".join(_WORDS.get(kind, kind.__name__) for kind in known[name])
            raise ValueError(f"sampler option {name} = {value!r}: give {wanted}")


def _is_a(kind: type, value: Any) -> bool:
    # True is an int in Python, and no number of steps.
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, _NUMBERS.get(kind, kind))
