"""Method cards: what a method does, its settings and where it is bundled, from its own source."""

import dataclasses
import inspect
import sys
from typing import Any

from bitscape.methods import METHODS


def card(name: str) -> str:
    """The card of the method `name` in Markdown; ValueError for an unknown one.

    Its text is the docstring of the method's module; settings and schemes are read off the class,
    so that none of it can fall behind the code.
    """
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}: one of {', '.join(METHODS)}")
    text = inspect.getdoc(sys.modules[METHODS[name].__module__])
    assert text is not None
    return "\n\n".join([f"# {name}", text, _settings(name), _schemes(name)])


def _settings(name: str) -> str:
    method: Any = METHODS[name]
    rows = [
        f"| `{option.name}` | `{_default(option)!r}` | {_kind(option.type)} |"
        for option in dataclasses.fields(method)
    ]
    return "\n".join(["## Settings", "", "| option | default | type |", "|---|---|---|", *rows])


def _default(option: dataclasses.Field[Any]) -> Any:
    factory = option.default_factory
    return option.default if factory is dataclasses.MISSING else factory()


def _kind(kind: object) -> str:
    text = kind.__name__ if isinstance(kind, type) else str(kind).removeprefix("typing.")
    return f"`{text}`".replace("|", "\\|")


def _schemes(name: str) -> str:
    return "## Bundled at\n\n" + ", ".join(f"`{scheme}`" for scheme in METHODS[name].schemes)
