"""Schemes as an artefact's `quantization_config`: compressed-tensors' keys with ours beside them.

Their keys say int or float and a number of bits; `scheme` says exactly which, since E2M3 and E3M2
are both six-bit floats.
"""

from typing import Any

from bitscape.formats import (
    Codebook,
    Float,
    Format,
    SiteScheme,
    TensorScheme,
    parse_tensor_scheme,
)


def config_groups(schemes: dict[str, SiteScheme]) -> dict[str, Any]:
    """Sites grouped by equal schemes, in the order in which each scheme first appears."""
    groups: dict[SiteScheme, list[str]] = {}
    for site, scheme in schemes.items():
        groups.setdefault(scheme, []).append(site)
    return {
        f"group_{index}": {
            "targets": sites,
            "weights": _to_config(scheme.weight),
            "input_activations": _to_config(scheme.activation),
        }
        for index, (scheme, sites) in enumerate(groups.items())
    }


def site_schemes(groups: dict[str, Any]) -> dict[str, SiteScheme]:
    """The inverse of `config_groups`."""
    return {
        site: SiteScheme(_from_config(group["weights"]), _from_config(group["input_activations"]))
        for group in groups.values()
        for site in group["targets"]
    }


def _to_config(scheme: TensorScheme | None) -> dict[str, Any] | None:
    if scheme is None:
        return None
    return {
        "num_bits": scheme.format.bits,
        "type": _type(scheme.format),
        "symmetric": scheme.symmetric,
        "strategy": scheme.granularity.kind,
        "group_size": scheme.granularity.size,
        "dynamic": scheme.dynamic,
        "scheme": str(scheme),
    }


def _type(fmt: Format) -> str:
    if isinstance(fmt, Codebook):
        return "codebook"
    return "float" if isinstance(fmt, Float) else "int"


def _from_config(config: dict[str, Any] | None) -> TensorScheme | None:
    return None if config is None else parse_tensor_scheme(config["scheme"])
