"""The names people write, read into formats and schemes.

    scheme    = site {"/" (role | site's name) "=" site}
    site      = "W" width "A" width ["@g" size] [",asym" | ",sym" | ",vq" dim "d"] [",static"]
                | a name below
    width     = 1 to 8, 16, or the name of a float format or "ternary", for weights also "1.58"

Weights are symmetric, one scale per output channel, or per group with "@g"; activations are dynamic
and symmetric, one scale per token; ",static" makes them one unsigned range per tensor, the kind the
u8 kernels read. ",vq2d" makes weights pairs of codebook entries, W bits each; "@g" is then the
number of weights that share a codebook, by default as many as make it cost an eighth of a bit a
weight. Unless their roles are named, the modulation ("ada") keeps its activations at 16 bits; the
attention products ("attend") and the ends of a U-Net, its time embedding ("time") and outer
convolutions ("input", "output"), keep everything.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import get_args

from bitscape.formats.codebook import Codebook
from bitscape.formats.floating import Float
from bitscape.formats.format import Format
from bitscape.formats.integer import Int
from bitscape.formats.mixed import MixedInt
from bitscape.formats.power import E8M0
from bitscape.formats.scheme import (
    FULL_BITS,
    Granularity,
    GranularityKind,
    QuantScheme,
    SiteScheme,
    TensorScheme,
)
from bitscape.formats.ternary import Ternary

_FORMAT = re.compile(r"(?P<int>u?int)(\d)|e(\d)m(\d)|codebook(\d)x(\d)|int(\d)rows")
_TENSOR = re.compile(
    r"(?P<format>\w+)@(?P<reach>tensor|channel|token|step|[gt][1-9]\d*|s[1-9]\d*(\+[1-9]\d*)*)"
    r"(\*(?P<scale>\w+))?(?P<dynamic>,dynamic)?"
)
_WIDTH = r"([1-8]|16|e\dm\d|ternary)"
_SITE = re.compile(
    rf"w(?P<weight>{_WIDTH})a(?P<activation>{_WIDTH})"
    r"(@g(?P<group>[1-9]\d*))?(?P<symmetry>,a?sym|,vq(?P<dim>[1-8])d)?(?P<static>,static)?"
)
# What papers call ternary: log2(3) bits, though it is written in 8 / 5.
_TERNARY = re.compile(r"\Aw1\.58(?=a)", re.IGNORECASE)
_ROLE = re.compile(r"(?P<role>[a-z][a-z0-9_.]*)=(?P<site>.+)")


def _block(elements: Format, size: int, scale: Format) -> TensorScheme:
    return TensorScheme(elements, Granularity("group", size), scale_format=scale)


@functools.cache
def _named_sites() -> Mapping[str, SiteScheme]:
    e4m3 = Float(4, 3)
    channel, token, tensor = (Granularity(kind) for kind in ("channel", "token", "tensor"))
    sites = {
        "FP8": SiteScheme(TensorScheme(e4m3, tensor), TensorScheme(e4m3, tensor)),
        "FP8_DYNAMIC": SiteScheme(
            TensorScheme(e4m3, channel), TensorScheme(e4m3, token, dynamic=True)
        ),
    }
    blocks = {
        "MXFP4": _block(Float(2, 1), 32, E8M0()),
        "MXFP6": _block(Float(2, 3), 32, E8M0()),
        "MXFP8": _block(e4m3, 32, E8M0()),
        "NVFP4": _block(Float(2, 1), 16, e4m3),
    }
    for name, block in blocks.items():
        sites[name] = SiteScheme(block, replace(block, dynamic=True))
        sites[f"{name}A16"] = SiteScheme(block, None)
    return MappingProxyType(sites)


def known_schemes() -> tuple[str, ...]:
    """Names that `parse_scheme` reads, for listings and for the nearest name in an error."""
    widths = [f"W{w}A{a}" for a in (16, 8, 6, 4) for w in (8, 6, 4, 3, 2)]
    widths += [f"W{w}A16@g64" for w in (4, 3, 2)] + ["W4A8@g64", "W8A8,static", "W4A16,asym"]
    widths += ["W4A16,vq2d", "W3A16,vq2d", "W2A16,vq2d", "W2A16,vq4d"]
    return ("W16A16", *widths, *_named_sites())


def parse_format(name: str) -> Format:
    """The format called `name`: "int4", "uint4", "int4rows", "e4m3", "ternary", "codebook4x2"."""
    if name == "ternary":
        return Ternary()
    if name == "e8m0":
        return E8M0()
    match = _FORMAT.fullmatch(name)
    if match is None:
        raise ValueError(
            f"unknown format {name!r}: write int1 to int8, uint1 to uint8, e<exponent>m<mantissa> "
            f"such as e4m3, e8m0, ternary, codebook<bits>x<dim> or int<bits>rows"
        )
    kind, width, exp, man, bits, dim, base = match.groups()
    if base is not None:
        return MixedInt(int(base))
    if kind is not None:
        return Int(int(width), signed=kind == "int")
    return Float(int(exp), int(man)) if exp is not None else Codebook(int(bits), int(dim))


def parse_tensor_scheme(text: str) -> TensorScheme:
    """The tensor scheme whose text is `text`: "int4@g64", "uint8@tensor", "int8@token,dynamic"."""
    match = _TENSOR.fullmatch(text)
    if match is None:
        raise ValueError(
            f"unknown tensor scheme {text!r}: write format@tensor, @channel, @token, @step or "
            f"@g<size>, @s<width>+<width>, then *<scale format> and ,dynamic where they apply"
        )
    scale = match["scale"]
    number = parse_format(match["format"])
    return TensorScheme(
        number,
        _granularity(match["reach"]),
        symmetric=not (isinstance(number, Int) and not number.signed),
        dynamic=match["dynamic"] is not None,
        scale_format=None if scale is None else parse_format(scale),
    )


def parse_scheme(text: str) -> QuantScheme:
    """The scheme that `text` names; ValueError names the nearest known one.

    "W4A8@g64", "W3A16,asym", "W8A8,static", "FP8_DYNAMIC", "MXFP4", "We2m1A16",
    "W4A16/ada=W8A16/head=W16A16".
    """
    first, *rest = text.strip().split("/")
    name, default = _parse_site(first, text)
    named: dict[str, tuple[str, SiteScheme]] = {}
    for part in rest:
        match = _ROLE.fullmatch(part.strip())
        if match is None or match["role"] in named:
            raise ValueError(
                f"cannot read {part!r} in scheme {text!r}: after a slash write role=scheme once "
                f"for each role, such as ada=W8A16"
            )
        named[match["role"]] = _parse_site(match["site"], text)
    roles = {"ada": replace(default, activation=None)}
    roles |= dict.fromkeys(("attend", "time", "input", "output"), SiteScheme(None, None))
    roles |= {role: site for role, (_, site) in named.items()}
    suffix = "".join(f"/{role}={site_name}" for role, (site_name, _) in sorted(named.items()))
    return QuantScheme(name + suffix, default, tuple(sorted(roles.items())))


def with_weight_bits(scheme: QuantScheme, whole: int, bits: int) -> QuantScheme:
    """`scheme` with weights of `bits` wherever it has weights of `whole` bits."""
    weights = rf"(\A|=)W{whole}(?=A)"
    return parse_scheme(re.sub(weights, rf"\g<1>W{bits}", scheme.name))


def _parse_site(text: str, scheme: str) -> tuple[str, SiteScheme]:
    named = _named_sites()
    text = _TERNARY.sub("Wternary", text)
    if text.upper() in named:
        return text.upper(), named[text.upper()]
    match = _SITE.fullmatch(text.lower())
    if match is None:
        raise _unknown(text, scheme)
    group = "" if match["group"] is None else f"@g{match['group']}"
    asymmetric = match["symmetry"] == ",asym"
    static = match["static"] is not None
    if match["dim"] is None:
        weight = _weight(match["weight"], group, asymmetric, scheme)
    else:
        weight = _vectors(match["weight"], int(match["dim"]), match["group"], scheme)
    site = SiteScheme(weight, _activation(match["activation"], static, scheme))
    marks = match["symmetry"] or ""
    marks = ("" if marks == ",sym" else marks) + (",static" if static else "")
    return f"W{match['weight']}A{match['activation']}{group}{marks}", site


def _weight(width: str, group: str, asymmetric: bool, scheme: str) -> TensorScheme | None:
    number = _number(width, asymmetric, scheme)
    if number is None:
        if group or asymmetric:
            raise ValueError(f"scheme {scheme!r} gives 16-bit weights a group or a zero point")
        return None
    reach = Granularity("channel") if not group else _granularity(group[1:])
    return TensorScheme(number, reach, symmetric=not asymmetric)


def _vectors(width: str, dim: int, group: str | None, scheme: str) -> TensorScheme:
    if not width.isdecimal() or int(width) * dim > 8:
        raise ValueError(
            f"codes of a codebook have at most 8 bits: {width} bits x {dim} weights in "
            f"scheme {scheme!r} is not an integer up to that"
        )
    number = Codebook(int(width), dim)
    # 8-bit centroids then cost an eighth of a bit for each weight of a tile.
    size = 64 * number.entries * dim if group is None else int(group)
    return TensorScheme(number, Granularity("tile", size))


def _activation(width: str, static: bool, scheme: str) -> TensorScheme | None:
    integer = width.isdecimal()
    # Activations are rarely centred (those after GELU never are), so integers take a zero point.
    number = _number(width, integer, scheme)
    if number is None:
        if static:
            raise ValueError(f"scheme {scheme!r} gives 16-bit activations a static range")
        return None
    reach = Granularity("tensor" if static else "token")
    return TensorScheme(number, reach, symmetric=not integer, dynamic=not static)


def _number(width: str, unsigned: bool, scheme: str) -> Format | None:
    if not width.isdecimal():
        if unsigned:
            raise ValueError(f"{width} in scheme {scheme!r} has no zero point: drop ',asym'")
        return parse_format(width)
    if int(width) == FULL_BITS:
        return None
    return Int(int(width), signed=not unsigned)


def _granularity(text: str) -> Granularity:
    if text[0] == "s" and text[1:2].isdecimal():
        return Granularity("split", widths=tuple(map(int, text[1:].split("+"))))
    if text[1:].isdecimal():
        return Granularity("group" if text[0] == "g" else "tile", int(text[1:]))
    kinds: tuple[GranularityKind, ...] = get_args(GranularityKind)
    return next(Granularity(kind) for kind in kinds if kind == text)


def _unknown(text: str, scheme: str) -> ValueError:
    known = {name.lower(): name for name in known_schemes()}
    nearest = get_close_matches(text.lower(), known, n=3, cutoff=0.0)
    where = "" if text == scheme.strip() else f" in {scheme!r}"
    return ValueError(
        f"unknown scheme {text!r}{where}: nearest are {', '.join(known[n] for n in nearest)}"
    )
