"""Reading an artefact back, bit for bit, and refusing one that was changed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from bitscape.artefacts.config import dtype_called, site_from_config
from bitscape.artefacts.hashing import json_sha256, verify
from bitscape.artefacts.layout import (
    CONFIG,
    FORMAT_VERSION,
    RECIPE,
    REPORT,
    TOKENIZER,
    VOCABULARY,
    WEIGHTS,
)
from bitscape.artefacts.schemes import site_schemes
from bitscape.artefacts.sites import restore_site
from bitscape.artefacts.tensors import fill, read_tensors
from bitscape.models import assemble
from bitscape.models.prompts import find_vocabulary
from bitscape.nn import insert, quantized_sites
from bitscape.structure import Kind, Pipeline


def load(path: Path) -> tuple[Pipeline, dict[str, Any]]:
    """The pipeline that was saved to `path`, and its report.

    ValueError for a folder that is incomplete, truncated or edited.
    """
    config, report = read_config(path), read_report(path)
    verify(path, report["sha256"])
    # Fresh weights are drawn only to be overwritten; the caller's random state is not touched.
    with torch.random.fork_rng(devices=[]):
        pipeline = assemble(config)
    pipeline.network.to(dtype_called(config["dtype"]))
    pipeline.tokenizer.to(dtype_called(config["tokenizer_dtype"]))
    find_vocabulary(pipeline.tokenizer, [path / VOCABULARY])
    quantization = config["quantization_config"]
    _restore_network(pipeline, quantization, path / WEIGHTS)
    fill(pipeline.tokenizer, read_tensors(path / TOKENIZER), path / TOKENIZER)
    return pipeline, report


def is_artefact(path: Path) -> bool:
    """Whether `path` is a folder that `save` may have written."""
    return (path / CONFIG).is_file() and (path / REPORT).is_file()


def read_config(path: Path) -> dict[str, Any]:
    """`config.json`; ValueError when it is missing, no JSON, or of another format version."""
    config = _read_json(path / CONFIG)
    version = config.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {version} and this release reads {FORMAT_VERSION}: "
            "quantize again, or install the release that wrote it"
        )
    return config


def read_report(path: Path) -> dict[str, Any]:
    """`report.json`; ValueError when its contents are not the ones that were written."""
    report = _read_json(path / REPORT)
    digest = report.pop("digest", None)
    if digest != json_sha256(report):
        raise ValueError(
            f"{path / REPORT} does not match its own sha256: it was truncated or edited after it "
            "was written; copy the folder again or quantize again"
        )
    return report


def read_recipe(path: Path) -> dict[str, Any]:
    """`recipe.yaml` of an artefact whose files were verified."""
    recipe: dict[str, Any] = yaml.safe_load((path / RECIPE).read_text())
    return recipe


def restore_sites(
    pipeline: Pipeline, quantization: Mapping[str, Any], tensors: dict[str, Tensor]
) -> list[str]:
    """Put the coded sites on record into the network, in place, and return their names.

    What they store is taken out of `tensors`.
    """
    network = pipeline.network
    schemes = site_schemes(quantization["config_groups"])
    declared = [site for site in pipeline.adapter.sites(network) if site.name in schemes]
    # Not every adapter declares its attention products: those that are quantized are on record.
    recorded = [site_from_config(name, entry) for name, entry in quantization["sites"].items()]
    declared += [site for site in recorded if site.kind is Kind.ATTEND]
    insert(network, declared, pipeline.clocks)
    sites = {name: s for name, s in quantized_sites(network).items() if name in schemes}
    stored = _take_sites(list(sites), tensors)
    for name, site in sites.items():
        rotation = quantization["rotations"].get(name, 0)
        restore_site(site, stored[name], schemes[name], rotation)
    return list(sites)


def _take_sites(names: list[str], tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The tensors of each site, without its name; they are taken out of `tensors`."""
    found: dict[str, dict[str, Tensor]] = {name: {} for name in names}
    for key in list(tensors):
        site, _, field = key.rpartition(".")
        if site in found:
            found[site][field] = tensors.pop(key)
    return found


def _restore_network(pipeline: Pipeline, quantization: Mapping[str, Any], weights: Path) -> None:
    tensors = read_tensors(weights)
    sites = restore_sites(pipeline, quantization, tensors)
    fill(pipeline.network, tensors, weights, tuple(f"{name}." for name in sites))


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path.parent} is not a whole artefact: {path.name} is missing")
    try:
        value = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): copy the folder again") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} does not hold a JSON object: copy the folder again")
    return value
