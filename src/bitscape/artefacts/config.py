"""`config.json`: what is needed to build the network again, and how each of its sites is coded."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from bitscape.artefacts.layout import FORMAT_VERSION
from bitscape.artefacts.schemes import config_groups
from bitscape.artefacts.sites import scheme_of
from bitscape.models import describe
from bitscape.nn import QuantLinear, quantized_sites
from bitscape.structure import Kind, Pipeline, Role, Site

Holds = Callable[[str], bool]
"""Whether a part of a network holds the module or tensor of a name."""


def everything(name: str) -> bool:
    """The whole network, which holds every name."""
    return True


def pipeline_config(pipeline: Pipeline) -> dict[str, Any]:
    """The configuration of an artefact of `pipeline`."""
    return {
        "format_version": FORMAT_VERSION,
        **describe(pipeline),
        "dtype": _dtype_name(pipeline.network),
        "tokenizer_dtype": _dtype_name(pipeline.tokenizer),
        "quantization_config": quantization_config(pipeline),
    }


def quantization_config(pipeline: Pipeline, holds: Holds = everything) -> dict[str, Any]:
    """How each site is coded, of the part of the network of `pipeline` that `holds` it."""
    sites = {n: site for n, site in quantized_sites(pipeline.network).items() if holds(n)}
    declared = [s.name for s in pipeline.adapter.sites(pipeline.network) if holds(s.name)]
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
    """What a stored site needs of what its adapter declares, which is all but name and runs.

    Runs only say which inputs share a range while tables are made; a table says it of its own rows.
    """
    return {
        "role": site.role.value,
        "kind": site.kind.value,
        "tokens": site.tokens,
        "splits": list(site.splits),
    }


def site_from_config(name: str, config: Mapping[str, Any]) -> Site:
    """The site that `site_to_config` described, without runs."""
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
