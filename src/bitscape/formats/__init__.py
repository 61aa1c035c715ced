"""Finite sets of numbers, how they are written down, and what they cost."""

from bitscape.formats.accounting import WeightCost, compute_bits, model_bits, tensor_cost
from bitscape.formats.codebook import Codebook
from bitscape.formats.floating import Float
from bitscape.formats.format import Format
from bitscape.formats.integer import Int
from bitscape.formats.mixed import MixedInt
from bitscape.formats.nested import Slice
from bitscape.formats.packing import (
    pack,
    pack_codes,
    pack_ternary,
    packed_trits,
    packed_words,
    unpack,
    unpack_codes,
    unpack_ternary,
)
from bitscape.formats.parse import (
    known_schemes,
    parse_format,
    parse_scheme,
    parse_tensor_scheme,
    with_weight_bits,
)
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

__all__ = [
    "E8M0",
    "FULL_BITS",
    "Codebook",
    "Float",
    "Format",
    "Granularity",
    "GranularityKind",
    "Int",
    "MixedInt",
    "QuantScheme",
    "SiteScheme",
    "Slice",
    "TensorScheme",
    "Ternary",
    "WeightCost",
    "compute_bits",
    "known_schemes",
    "model_bits",
    "pack",
    "pack_codes",
    "pack_ternary",
    "packed_trits",
    "packed_words",
    "parse_format",
    "parse_scheme",
    "parse_tensor_scheme",
    "tensor_cost",
    "unpack",
    "unpack_codes",
    "unpack_ternary",
    "with_weight_bits",
]
