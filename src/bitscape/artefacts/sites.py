"""One site of the normal form as tensors on disk, and back.

Fields that compressed-tensors knows have its names (`weight_packed`, `input_scale`, ...); the ones
it does not know (prologue, low-rank branch, step tables) stand beside them.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bitscape.artefacts.attention import attend_to_tensors, restore_attend
from bitscape.artefacts.tensors import narrow
from bitscape.artefacts.weights import SHAPE, coded_from_tensors, coded_to_tensors, stored_scheme
from bitscape.formats import SiteScheme
from bitscape.nn import QuantAttend, Quantized, QuantLinear

# Buffers that exist in every normal form with a weight, and those of linear layers alone.
_SHARED = {"shift": "prologue_shift", "scale": "prologue_scale"}
_LINEAR = {
    "signs": "prologue_signs",
    "lowrank_down": "lowrank_down",
    "lowrank_up": "lowrank_up",
}
_TABLE = {
    "table_scale": "input_scale",
    "table_zero": "input_zero_point",
    "row_of": "input_row",
}
_PARAMETERS = ("weight", "bias")


def scheme_of(site: Quantized) -> SiteScheme:
    """The schemes that are in force at a site."""
    if isinstance(site, QuantAttend):
        return SiteScheme(None, None if site.q is None else site.q.scheme)
    weight = None if site.coded is None else site.coded.scheme
    return SiteScheme(weight, None if site.activation is None else site.activation.scheme)


def site_to_tensors(site: Quantized) -> dict[str, Tensor]:
    """Everything the site stores, floats as narrow as is exact."""
    if isinstance(site, QuantAttend):
        return attend_to_tensors(site)
    if site.delta is not None:
        raise ValueError(f"{site.site.name} still holds a delta: remove it before saving")
    found = {name: getattr(site, name) for name in _PARAMETERS}
    found |= {stored: getattr(site, field) for field, stored in _buffers(site).items()}
    tensors = {name: narrow(tensor) for name, tensor in found.items() if tensor is not None}
    if site.activation is not None:
        table = {stored: getattr(site.activation, field) for field, stored in _TABLE.items()}
        tensors |= {name: _short(t) for name, t in table.items() if t is not None}
    if site.coded is not None:
        tensors |= coded_to_tensors(site.coded)
    return tensors


def restore_site(
    site: Quantized, tensors: Mapping[str, Tensor], scheme: SiteScheme, rotation: int
) -> None:
    """Fill a fresh twin, in place, with what `site_to_tensors` stored."""
    if isinstance(site, QuantAttend):
        if scheme.activation is not None:
            restore_attend(site, tensors, scheme.activation)
        return
    assert site.weight is not None
    dtype = site.weight.dtype
    for field, stored in _buffers(site).items():
        if stored in tensors:
            setattr(site, field, tensors[stored].to(dtype))
    if isinstance(site, QuantLinear):
        site.rotation = rotation
    site.bias = nn.Parameter(tensors["bias"].to(dtype)) if "bias" in tensors else None
    if scheme.activation is not None:
        activation = site.quantize_activation(scheme.activation)
        if "input_scale" in tensors:
            zero, row_of = tensors.get("input_zero_point"), tensors.get("input_row")
            row_of = None if row_of is None else row_of.long()
            activation.set_table(tensors["input_scale"], zero, row_of)
    if SHAPE in tensors:
        assert scheme.weight is not None
        weight = stored_scheme(tensors, scheme.weight)
        site.set_codes(*coded_from_tensors(tensors, weight), weight)
    else:
        site.weight = nn.Parameter(tensors["weight"].to(dtype))


def _short(table: Tensor) -> Tensor:
    """Row numbers in one or two bytes each: there is one for every timestep."""
    if table.is_floating_point():
        return table
    return table.to(torch.uint8 if int(table.max()) < 256 else torch.int16)


def _buffers(site: Quantized) -> dict[str, str]:
    return _SHARED | _LINEAR if isinstance(site, QuantLinear) else _SHARED
