"""YAML files that a pydantic model describes, and one plain line for what is wrong with one."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError


def read_mapping(path: Path, needs: str) -> dict[str, Any]:
    """The keys of the YAML file `path`; ValueError in one line for a file that has none.

    `needs` says what it should hold: "a grid needs `models:`".
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} has no keys: {needs}")
    return content


def first_fault(
    error: ValidationError, whole: type[BaseModel], inside: type[BaseModel], needs: str
) -> str:
    """What is wrong, in one line, with what `whole` describes, whose nested keys are of `inside`.

    `needs` is said where a key is missing.
    """
    first = error.errors()[0]
    place, given = ".".join(map(str, first["loc"])), first["input"]
    known = (inside if len(first["loc"]) > 1 else whole).model_fields
    match first["type"]:
        case "missing":
            return f"{place} is missing: {needs}"
        case "extra_forbidden" | "invalid_key":
            return f"no key {place}: choose of {', '.join(known)}"
        case "tuple_type":
            return f"{place}: {given!r} is no list: write it in brackets, [a, b]"
        case "too_short":
            return f"{place} is empty: name at least one"
        case "model_type":
            return f"{place}: {given!r} has no keys: write some of {', '.join(inside.model_fields)}"
        case "value_error":
            said = first["msg"].removeprefix("Value error, ")
            return f"{place}: {said}" if place else said
    return f"{place}: {given!r}: {first['msg'][0].lower()}{first['msg'][1:]}"
