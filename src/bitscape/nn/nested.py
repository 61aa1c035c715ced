"""Reading a network of nested codes at fewer bits."""

from collections.abc import Mapping
from dataclasses import replace

from torch import nn

from bitscape.formats import Int, Slice
from bitscape.nn.attend import QuantAttend
from bitscape.nn.insert import quantized_sites
from bitscape.quantizers import Grid


def read_first_bits(network: nn.Module, bits: int, whole: int, gains: Mapping[str, float]) -> None:
    """Replace the codes of `whole`-bit integers by their first `bits`, in place.

    The scale of a site grows by 2^(whole - bits) times its number in `gains`; it is then a site of
    that width like any other.
    """
    cut = Slice(bits, whole)
    for name, layer in quantized_sites(network).items():
        if isinstance(layer, QuantAttend) or layer.coded is None:
            continue
        scheme, grid = layer.coded.scheme, layer.coded.grid
        if scheme.format == Int(whole) and isinstance(grid, Grid):
            narrow = replace(scheme, format=Int(bits))
            scale = grid.scale * (cut.spread * gains[name])
            layer.set_codes(cut.cut(layer.coded.codes), Grid(scale), narrow)
