"""The registry of families, and a description from which a pipeline can be built again."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bitscape.models.dit import DIT_FAMILY
from bitscape.models.family import Family
from bitscape.models.large_dit import LARGE_DIT_FAMILY
from bitscape.models.llamagen import LLAMAGEN_FAMILY
from bitscape.models.mar import MAR_FAMILY
from bitscape.models.par import PAR_FAMILY
from bitscape.models.rar import RAR_FAMILY
from bitscape.models.tokenizers import build_tokenizer, describe_tokenizer, from_json
from bitscape.models.unet import UNET_FAMILY
from bitscape.models.var import VAR_FAMILY
from bitscape.structure import Pipeline

FAMILIES: Mapping[str, Family] = {
    "var": VAR_FAMILY,
    "dit": DIT_FAMILY,
    "largedit": LARGE_DIT_FAMILY,
    "mar": MAR_FAMILY,
    "rar": RAR_FAMILY,
    "llamagen": LLAMAGEN_FAMILY,
    "par": PAR_FAMILY,
    "unet": UNET_FAMILY,
}


def describe(pipeline: Pipeline) -> dict[str, Any]:
    """Everything but the weights, as JSON values; `assemble` builds the same pipeline from it."""
    return {
        "name": pipeline.name,
        "family": pipeline.family,
        "size": pipeline.size,
        "network": asdict(pipeline.adapter.config),
        "tokenizer": describe_tokenizer(pipeline.tokenizer),
        "sampler": pipeline.sampler,
    }


def assemble(description: Mapping[str, Any]) -> Pipeline:
    """The pipeline that `describe` described, with fresh weights; ValueError if it cannot be."""
    name = str(description.get("family"))
    if name not in FAMILIES:
        raise ValueError(f"unknown model family {name!r}: one of {', '.join(FAMILIES)}")
    family = FAMILIES[name]
    result = family.pipeline(
        description["name"],
        description["size"],
        from_json(family.config, description["network"]),
        build_tokenizer(description["tokenizer"]),
    )
    result.sampler = dict(description["sampler"])
    return result
