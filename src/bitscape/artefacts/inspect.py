"""What an artefact holds: real bytes, formats and kernels, site by site and without its network."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from bitscape.artefacts.config import dtype_called, site_from_config
from bitscape.artefacts.hashing import verify
from bitscape.artefacts.layout import WEIGHTS
from bitscape.artefacts.load import read_config, read_report
from bitscape.artefacts.schemes import site_schemes
from bitscape.artefacts.sites import restore_site, scheme_of, site_to_tensors
from bitscape.artefacts.weights import (
    BLOCKS,
    CENTROIDS,
    CODES,
    SCALE,
    SHAPE,
    WIDE_SCALE,
    WIDTHS,
    ZERO,
    stored_scheme,
)
from bitscape.formats import SiteScheme
from bitscape.nn import QuantAttend, QuantConv2d, Quantized, QuantLinear, quantized_sites
from bitscape.runtime import Choice, choose_kernels
from bitscape.structure import Kind, Site, StepClock

_CODES = (CODES, *BLOCKS.values(), "weight")
_SCALES = (SCALE, WIDE_SCALE, CENTROIDS)
_OTHERS = (ZERO, SHAPE, WIDTHS, "lowrank_down", "lowrank_up")


@dataclass(frozen=True)
class SiteBytes:
    """What the weight of one site takes on disk.

    Codes (or floats), scales with any centroids, and the rest: zero points, the stored shape, a
    low-rank branch.
    """

    codes: int
    scales: int
    others: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.codes + self.scales + self.others


def inspect(path: Path) -> dict[str, Any]:
    """Bytes and bits of the quantized weights of an artefact, with one row a site.

    `weight_bytes` is codes, scales, low-rank branches, zero points and stored shapes, and
    `actual_weight_bits` the same in bits; `nominal_weight_bits` is elements times the width of the
    format. All are totals. Kernels are those that this machine would choose. ValueError for a
    folder that is incomplete, truncated or edited.
    """
    config, report = read_config(path), read_report(path)
    verify(path, report["sha256"])
    quantization = config["quantization_config"]
    schemes = site_schemes(quantization["config_groups"])
    sizes: list[SiteBytes] = []
    layers: list[dict[str, Any]] = []
    nominal = 0.0
    with safe_open(path / WEIGHTS, framework="pt") as file:
        names = list(file.keys())
        for name, declared in quantization["sites"].items():
            site = site_from_config(name, declared)
            if site.kind is Kind.ATTEND:
                continue
            tensors = _tensors_of(name, names, file)
            scheme = _stored(schemes[name], tensors)
            rotation = quantization["rotations"].get(name, 0)
            choice = _choice(site, tensors, scheme, rotation, dtype_called(config["dtype"]))
            shape = _shape(tensors)
            sizes.append(site_bytes(tensors))
            nominal += scheme.weight_bits * shape[0] * shape[1]
            layers.append(layer_row(site, scheme, shape, sizes[-1], choice))
    return {**totals(sizes, nominal), "layers": layers}


def inspect_network(network: nn.Module) -> dict[str, Any]:
    """What `inspect` will say of a network in the normal form once it has been saved."""
    sizes, layers = [], []
    nominal = 0.0
    for site in quantized_sites(network).values():
        if isinstance(site, QuantAttend):
            continue
        tensors, scheme = site_to_tensors(site), scheme_of(site)
        shape = _shape(tensors)
        sizes.append(site_bytes(tensors))
        nominal += scheme.weight_bits * shape[0] * shape[1]
        layers.append(layer_row(site.site, scheme, shape, sizes[-1], kernel_of(site)))
    return {**totals(sizes, nominal), "layers": layers}


def totals(sizes: Iterable[SiteBytes], nominal_bits: float) -> dict[str, Any]:
    """The head of an inspection."""
    sizes = list(sizes)
    weight_bytes = sum(size.total for size in sizes)
    return {
        "weight_bytes": weight_bytes,
        "code_bytes": sum(size.codes for size in sizes),
        "scale_bytes": sum(size.scales for size in sizes),
        "nominal_weight_bits": nominal_bits,
        "actual_weight_bits": 8 * weight_bytes,
    }


def layer_row(
    site: Site, scheme: SiteScheme, shape: tuple[int, int], size: SiteBytes, choice: Choice
) -> dict[str, Any]:
    """One row of an inspection."""
    return {
        "name": site.name,
        "role": site.role.value,
        "scheme": str(scheme),
        "shape": list(shape),
        "bytes": size.total,
        "kernel": choice.kernel,
        "real": choice.real,
    }


def site_bytes(tensors: Mapping[str, Tensor]) -> SiteBytes:
    """The bytes of one site's weight, given its stored tensors."""
    sizes = {name: tensor.numel() * tensor.element_size() for name, tensor in tensors.items()}
    parts = (_CODES, _SCALES, _OTHERS)
    return SiteBytes(*(sum(sizes.get(name, 0) for name in part) for part in parts))


def kernel_of(site: Quantized) -> Choice:
    """The kernel that this machine would choose for a site, which is left as it is."""
    [choice] = choose_kernels(nn.Sequential(site))
    return replace(choice, name=site.site.name)


def _stored(scheme: SiteScheme, tensors: Mapping[str, Tensor]) -> SiteScheme:
    weight = None if scheme.weight is None else stored_scheme(tensors, scheme.weight)
    return replace(scheme, weight=weight)


def _choice(
    site: Site,
    tensors: Mapping[str, Tensor],
    scheme: SiteScheme,
    rotation: int,
    dtype: torch.dtype,
) -> Choice:
    rows, columns = _shape(tensors)
    if site.kind is Kind.CONV:
        # The kernel's extent is not stored: as 1x1, every column is a channel.
        taps = columns // sum(site.splits) if site.splits else 1
        point = replace(site, splits=tuple(width * taps for width in site.splits))
        conv = nn.Conv2d(columns, rows, 1, bias="bias" in tensors, device="meta", dtype=dtype)
        kernel = QuantConv2d.of(conv, point, StepClock())
        restore_site(kernel, tensors, scheme, rotation)
        return kernel_of(kernel)
    empty = nn.Linear(columns, rows, bias="bias" in tensors, device="meta", dtype=dtype)
    twin = QuantLinear.of(empty, site, StepClock())
    restore_site(twin, tensors, scheme, rotation)
    return kernel_of(twin)


def _shape(tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    if SHAPE in tensors:
        rows, columns = (int(extent) for extent in tensors[SHAPE])
        return rows, columns
    return tensors["weight"].shape[0], tensors["weight"][0].numel()


def _tensors_of(site: str, names: list[str], file: Any) -> dict[str, Tensor]:
    prefix = f"{site}."
    inside = [name for name in names if name.startswith(prefix)]
    return {name.removeprefix(prefix): file.get_tensor(name) for name in inside}
