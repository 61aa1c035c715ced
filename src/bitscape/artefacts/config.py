"""`config.json`: what is needed to build the network again, and how each of its sites is coded."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from bitscape.artefacts.layout import FORMAT_VERSION
from bitscape.artefacts.schemes import config_groups
from bitscape.artefacts.sites import scheme_of
from bitscape.models import describe
from bitscape.nn import QuantLinear, quantized_sites
from bitscape.structure import Kind, Pipeline, Role, Site


def pipeline_config(pipeline: Pipeline) -> dict[str, Any]:
    """The configuration of an artefact of `pipeline`."""
    return {
        "format_version": FORMAT_VERSION,
        **describe(pipeline),
        "dtype": _dtype_name(pipeline.network),
        "tokenizer_dtype": _dtype_name(pipeline.tokenizer),
        "quantization_config": quantization_config(pipeline),
    }


def quantization_config(pipeline: Pipeline) -> dict[str, Any]:
    """How each site of the network of `pipeline` is coded."""
    sites = quantized_sites(pipeline.network)
    declared = [site.name for site in pipeline.adapter.sites(pipeline.network)]
    rotations = {
        name: site.rotation
        for name, site in sites.items()
        if isinstance(site, QuantLinear) and site.rotation
    }
    return {
        "quant_method": "bitscape",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": config_groups({n: scheme_of(site) for n, site in sites.items()}),
        "ignore": [name for name in declared if name not in sites],
        "rotations": rotations,
        "sites": {name: site_to_config(site.site) for name, site in sites.items()},
    }


def site_to_config(site: Site) -> dict[str, Any]:
    """What an adapter declares of a site, but for its name."""
    return {
        "role": site.role.value,
        "kind": site.kind.value,
        "tokens": site.tokens,
        "splits": list(site.splits),
    }


def site_from_config(name: str, config: Mapping[str, Any]) -> Site:
    """The inverse of `site_to_config`."""
    return Site(
        name, Role(config["role"]), Kind(config["kind"]), config["tokens"], tuple(config["splits"])
    )


def dtype_called(name: str) -> torch.dtype:
    """The torch dtype "float32", "bfloat16" or "float16"; ValueError for any other name."""
    dtypes = {str(dtype).removeprefix("torch."): dtype for dtype in _FLOATS}
    if name not in dtypes:
        raise ValueError(f"dtype {name!r} is unknown: choose {', '.join(dtypes)}")
    return dtypes[name]


_FLOATS = (torch.float32, torch.bfloat16, torch.float16)


def _dtype_name(network: nn.Module) -> str:
    # The grids of coded weights stay float32 whatever the network computes in.
    floats = [p.dtype for p in network.parameters() if p.is_floating_point()]
    return str(floats[0]).removeprefix("torch.") if floats else "float32"
