"""The normal form: layers whose fields every method edits, and what they cost."""

from bitscape.nn.activation import ActivationQuantizer
from bitscape.nn.attend import HeadQuantizer, QuantAttend
from bitscape.nn.coded import CodedWeight, grid_of, keep_dtype
from bitscape.nn.conv import QuantConv2d
from bitscape.nn.footprint import Footprint, SiteFootprint, footprint
from bitscape.nn.hadamard import (
    hadamard_matrix,
    hadamard_transform,
    inverse_hadamard_transform,
    largest_order,
    signed_rotation,
)
from bitscape.nn.insert import Quantized, insert, quantized_sites, take_over
from bitscape.nn.linear import QuantLinear
from bitscape.nn.nested import read_first_bits
from bitscape.nn.prologue import compose_affine

__all__ = [
    "ActivationQuantizer",
    "CodedWeight",
    "Footprint",
    "HeadQuantizer",
    "QuantAttend",
    "QuantConv2d",
    "QuantLinear",
    "Quantized",
    "SiteFootprint",
    "compose_affine",
    "footprint",
    "grid_of",
    "hadamard_matrix",
    "hadamard_transform",
    "insert",
    "inverse_hadamard_transform",
    "keep_dtype",
    "largest_order",
    "quantized_sites",
    "read_first_bits",
    "signed_rotation",
    "take_over",
]
