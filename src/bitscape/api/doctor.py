"""What a file of weights is, and whether it would load."""

from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bitscape import artefacts
from bitscape.models import FAMILIES


@dataclass(frozen=True)
class Recognised:
    """One thing that a part of a file is: a network or a tokenizer, of which sizes."""

    kind: str
    family: str
    sizes: tuple[str, ...]
    layout: str
    part: str
    parameters: int


def doctor(checkpoint: str | Path) -> dict[str, Any]:
    """What `checkpoint` holds, without reading its tensors: JSON values.

    `found` lists what `load` would take from it; `parameters` are those of the part read.
    ValueError when nothing fits any family, FileNotFoundError when there is no file.
    """
    file = artefacts.open_foreign(Path(checkpoint))
    found = recognise(file)
    if not found:
        raise ValueError(
            f"{checkpoint} fits no size of {', '.join(FAMILIES)}: {_outline(file)}; "
            "give the file as it was published"
        )
    return {
        "checkpoint": str(checkpoint),
        "format": file.format,
        "bytes": sum(path.stat().st_size for path in file.files),
        "found": [{**vars(each), "dtype": _dtypes(file.parts[each.part])} for each in found],
    }


def recognise(file: artefacts.ForeignFile) -> list[Recognised]:
    """Every network and tokenizer that `file` holds whole, in a known layout."""
    found: dict[tuple[str, ...], list[tuple[str, int]]] = {}
    for family in FAMILIES.values():
        for size, config in family.sizes.items():
            with torch.device("meta"):
                modules = {"network": family.network(config), "tokenizer": family.tokenizer(config)}
            for kind, layouts in (
                ("network", family.layouts),
                ("tokenizer", family.tokenizer_layouts),
            ):
                weights = _fitting(modules[kind], layouts, file)
                if weights is not None:
                    key = (kind, family.name, weights.layout, weights.place)
                    count = sum(p.numel() for p in modules[kind].parameters())
                    found.setdefault(key, []).append((size, count))
    return [
        Recognised(kind, family, tuple(size for size, _ in sizes), layout, part, sizes[0][1])
        for (kind, family, layout, part), sizes in found.items()
    ]


def _fitting(module: nn.Module, layouts: Any, file: artefacts.ForeignFile) -> Any:
    try:
        return artefacts.match(module, layouts, file, "it")
    except ValueError:
        return None


def _dtypes(part: artefacts.Part) -> str:
    """The dtype of most of the numbers."""
    counts: Counter[str] = Counter()
    for stored in part.values():
        counts[str(stored.dtype).removeprefix("torch.")] += prod(stored.shape)
    return counts.most_common(1)[0][0]


def _outline(file: artefacts.ForeignFile) -> str:
    """The parts of a file and the first keys of the largest."""
    place, part = max(file.parts.items(), key=lambda item: len(item[1]))
    first = ", ".join(list(part)[:3])
    return f"it holds {len(part)} tensors{f' under {place}' if place else ''} ({first}, ...)"
