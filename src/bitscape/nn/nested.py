"""Reading a network of nested codes at fewer bits."""

from dataclasses import replace

from torch import nn

from bitscape.formats import Int, Slice
from bitscape.nn.attend import QuantAttend
from bitscape.nn.insert import quantized_sites
from bitscape.quantizers import Grid


def read_first_bits(network: nn.Module, bits: int, whole: int) -> None:
    """Replace the codes of `whole`-bit integers by their first `bits`, in place.

    The scale of a site grows by 2^(whole - bits); it is then a site of that width like any other.
    """
    cut = Slice(bits, whole)
    for layer in quantized_sites(network).values():
        if isinstance(layer, QuantAttend) or layer.coded is None:
            continue
        scheme, grid = layer.coded.scheme, layer.coded.grid
        if scheme.format == Int(whole) and isinstance(grid, Grid):
            narrow = replace(scheme, format=Int(bits))
            layer.set_codes(cut.cut(layer.coded.codes), Grid(grid.scale * cut.spread), narrow)
