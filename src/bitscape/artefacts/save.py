"""Writing an artefact: a folder that needs nothing else to be loaded and sampled from."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor, nn

from bitscape.artefacts.config import Holds, everything, pipeline_config
from bitscape.artefacts.folder import whole_folder
from bitscape.artefacts.hashing import folder_sha256, json_sha256
from bitscape.artefacts.layout import (
    CONFIG,
    FORMAT_VERSION,
    RECIPE,
    REPORT,
    TOKENIZER,
    VOCABULARY,
    WEIGHTS,
)
from bitscape.artefacts.sites import site_to_tensors
from bitscape.artefacts.tensors import narrow, write_tensors
from bitscape.models.prompts import vocabulary_files
from bitscape.nn import quantized_sites
from bitscape.structure import Pipeline


def save(
    pipeline: Pipeline,
    recipe: Mapping[str, Any],
    report: Mapping[str, Any],
    out: Path,
    weights: Path | None = None,
) -> None:
    """Write `pipeline` to the folder `out`, which appears whole or not at all.

    `recipe` is stored resolved, `report` says what the method did. `weights` is a file that already
    holds what `network_tensors` would give, and is moved. FileExistsError when `out` exists;
    OSError when the disk is full. The same inputs give the same bytes.
    """
    with whole_folder(out) as folder:
        _write_json(folder / CONFIG, pipeline_config(pipeline))
        if weights is None:
            write_tensors(network_tensors(pipeline.network), folder / WEIGHTS)
        else:
            weights.replace(folder / WEIGHTS)
        write_tensors(plain_tensors(pipeline.tokenizer), folder / TOKENIZER)
        _copy(vocabulary_files(pipeline.tokenizer), folder / VOCABULARY)
        (folder / RECIPE).write_text(yaml.safe_dump(dict(recipe), sort_keys=False))
        sealed = {
            "format_version": FORMAT_VERSION,
            **report,
            "sha256": folder_sha256(folder),
        }
        _write_json(folder / REPORT, {**sealed, "digest": json_sha256(sealed)})


def network_tensors(network: nn.Module, holds: Holds = everything) -> dict[str, Tensor]:
    """Every tensor that is stored of the part of a network that `holds` it, sites packed."""
    sites = quantized_sites(network)
    inside = tuple(f"{name}." for name in sites)
    tensors = {
        name: narrow(tensor)
        for name, tensor in network.state_dict().items()
        if not name.startswith(inside) and holds(name)
    }
    for name, site in sites.items():
        if holds(name):
            tensors |= {f"{name}.{field}": value for field, value in site_to_tensors(site).items()}
    return tensors


def plain_tensors(network: nn.Module) -> dict[str, Tensor]:
    """The state of a network as it is, floats as narrow as is exact."""
    return {name: narrow(tensor) for name, tensor in network.state_dict().items()}


def _copy(files: Sequence[Path], folder: Path) -> None:
    """Copy `files`, if there are any, into a new `folder`."""
    if files:
        folder.mkdir()
    for file in files:
        shutil.copyfile(file, folder / file.name)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
