"""Every model that can be named, and the nearest names for one that cannot."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from bitscape import zoo
from bitscape.models import FAMILIES

ZOO = "zoo:"


def catalogue() -> list[dict[str, Any]]:
    """The bundled models whose weights are here, then the released sizes of each family.

    `params` counts the network without its tokenizer. `checkpoint` says whether weights have to be
    given: null for bundled ones, "required" otherwise.
    """
    bundled = [_bundled(name) for name in zoo.available()]
    return bundled + [
        _released(family, size) for family in FAMILIES for size in FAMILIES[family].sizes
    ]


def known_names() -> list[str]:
    """The names in `catalogue`, without counting parameters."""
    released = [f"{family}-{size}" for family in FAMILIES for size in FAMILIES[family].sizes]
    return [ZOO + name for name in zoo.available()] + released


def unknown(kind: str, name: str, known: Iterable[str], remedy: str) -> ValueError:
    """The error for a name that does not exist: the nearest ones that do, and what else to try."""
    names = list(known)
    near = get_close_matches(name, names, n=3, cutoff=0.3) or names[:3]
    return ValueError(f"unknown {kind} {name!r}: nearest are {', '.join(near)}; {remedy}")


def _bundled(name: str) -> dict[str, Any]:
    entry = zoo.ENTRIES[name]
    family = FAMILIES[entry.family]
    return {
        "name": ZOO + name,
        "family": family.name,
        "style": family.style,
        "params": _parameters(family.network, entry.config),
        "bundled": True,
        "checkpoint": None,
    }


def _released(name: str, size: str) -> dict[str, Any]:
    family = FAMILIES[name]
    return {
        "name": f"{name}-{size}",
        "family": name,
        "style": family.style,
        "params": family.parameters.get(size) or _parameters(family.network, family.sizes[size]),
        "bundled": False,
        "checkpoint": "required",
    }


def _parameters(network: Any, config: Any) -> int:
    with torch.device("meta"):
        built: nn.Module = network(config)
    return sum(parameter.numel() for parameter in built.parameters())
