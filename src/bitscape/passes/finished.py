"""Finished work on disk, so that a killed quantization takes up where it stopped."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from bitscape.files import read_tensors, write_tensors
from bitscape.nn import grid_of
from bitscape.passes.rounders import Rounded
from bitscape.quantizers import Centroids


def write_finished(path: Path, rounded: Mapping[str, Rounded]) -> None:
    """Keep the codes of several sites in one file, which appears whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for name, site in rounded.items():
        tensors[f"{name}.codes"] = site.codes
        tensors[f"{name}.scale"] = site.grid.scale
        if isinstance(site.grid, Centroids):
            tensors[f"{name}.centroids"] = site.grid.values
        elif site.grid.zero is not None:
            tensors[f"{name}.zero"] = site.grid.zero
        if site.bias is not None:
            tensors[f"{name}.bias"] = site.bias
    write_tensors(path, tensors, {name: json.dumps(site.report) for name, site in rounded.items()})


def read_finished(path: Path, device: torch.device | str) -> dict[str, Rounded]:
    """What `write_finished` kept, on `device`; nothing when there is no such file."""
    if not path.is_file():
        return {}
    with safe_open(path, framework="pt") as file:
        reports: dict[str, str] = file.metadata() or {}
        names = set(file.keys())
        return {name: _site(file, name, names, report, device) for name, report in reports.items()}


def write_groups(path: Path, groups: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Keep named groups of tensors in one file, which appears whole or not at all."""
    named = {f"{g}/{kind}": t for g, kinds in groups.items() for kind, t in kinds.items()}
    write_tensors(path, named)


def read_groups(path: Path, device: torch.device | str) -> dict[str, dict[str, Tensor]]:
    """What `write_groups` kept, on `device`."""
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in read_tensors(path).items():
        group, kind = key.rsplit("/", 1)
        groups.setdefault(group, {})[kind] = tensor.to(device)
    return groups


def _site(
    file: Any, name: str, names: set[str], report: str, device: torch.device | str
) -> Rounded:
    kinds = ("codes", "scale", "zero", "centroids", "bias")
    there = [kind for kind in kinds if f"{name}.{kind}" in names]
    kept = {kind: file.get_tensor(f"{name}.{kind}").to(device) for kind in there}
    grid = grid_of(kept["scale"], kept.get("zero"), kept.get("centroids"))
    return Rounded(kept["codes"], grid, json.loads(report), kept.get("bias"))
