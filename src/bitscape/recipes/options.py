"""Options of a recipe's method written as text: `effective_bits=3.5`."""

import inspect
from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

from bitscape.methods import METHODS
from bitscape.recipes.recipe import Recipe, no_option


def with_options(recipe: Recipe, texts: Sequence[str]) -> Recipe:
    """`recipe` with options replaced by `texts`, each NAME=VALUE with VALUE in YAML.

    ValueError for a name that the method does not have, listing those it has, and for a value that
    is not of the option's type.
    """
    known = inspect.signature(METHODS[recipe.method]).parameters
    options: dict[str, Any] = dict(recipe.options)
    for text in texts:
        name, value = name_and_value("--option", text)
        if name not in known:
            raise ValueError(no_option(recipe.method, name))
        options[name] = _checked(f"{recipe.method}: {name}", known[name].annotation, value)
    return recipe.changed(options=options)


def name_and_value(option: str, text: str) -> tuple[str, str]:
    """Both parts of NAME=VALUE; ValueError for a text without "=", naming the `option` it is of."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise ValueError(f"{option} {text!r}: write NAME=VALUE")
    return name, value


def _checked(place: str, kind: Any, text: str) -> Any:
    """The value that `text` stands for; ValueError when it is not a `kind`."""
    try:
        found = TypeAdapter(kind).validate_python(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ValueError(f"{place}: {text!r} is not YAML") from error
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise ValueError(f"{place} = {text!r}: {reason[0].lower()}{reason[1:]}") from error
    except PydanticSchemaGenerationError as error:
        raise ValueError(f"{place} cannot be written as text: use a recipe in Python") from error
    return found
