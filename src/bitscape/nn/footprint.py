"""What a network costs: the bits of every weight, as paid for and as written."""

import math
from dataclasses import dataclass

from torch import nn

from bitscape.formats import FULL_BITS, SiteScheme, WeightCost, compute_bits, tensor_cost
from bitscape.nn.attend import QuantAttend
from bitscape.nn.conv import QuantConv2d
from bitscape.nn.insert import quantized_sites
from bitscape.nn.linear import QuantLinear


@dataclass(frozen=True)
class SiteFootprint:
    """The cost of one site's weight matrix. `scheme` reads "int4@g64 x uint8@token,dynamic"."""

    name: str
    role: str
    scheme: SiteScheme
    shape: tuple[int, int]
    cost: WeightCost

    @property
    def text(self) -> str:
        """The scheme in words: weight x activation."""
        return str(self.scheme)

    @property
    def code_bytes(self) -> int:
        """Bytes of packed codes, or of the float weight."""
        return self.cost.code_bits // 8

    @property
    def scale_bytes(self) -> int:
        """Bytes of scales."""
        return self.cost.scale_bits // 8

    @property
    def nominal_bits(self) -> float:
        """Elements times the width of the format."""
        return self.cost.nominal_bits


@dataclass(frozen=True)
class Footprint:
    """The cost of a network: its sites, and the parameters outside of them at 16 bits."""

    sites: tuple[SiteFootprint, ...]
    other_parameters: int

    @property
    def weights(self) -> int:
        """The number of weights at sites."""
        return sum(site.cost.elements for site in self.sites)

    @property
    def nominal_weight_bits(self) -> float:
        """Mean width of a weight at a site, scales apart."""
        return sum(site.nominal_bits for site in self.sites) / self.weights

    @property
    def actual_weight_bits(self) -> float:
        """Mean bits written for a weight at a site, with scales, zero points and padding."""
        return sum(site.cost.total_bits for site in self.sites) / self.weights

    @property
    def model_bits(self) -> float:
        """Nominal bits of every parameter of the network."""
        sites = sum(site.nominal_bits for site in self.sites)
        return sites + self.other_parameters * FULL_BITS

    @property
    def compute_bits(self) -> float:
        """Sum over sites of weights times b_w times b_a."""
        return compute_bits((site.cost.elements, site.scheme) for site in self.sites)


def footprint(network: nn.Module) -> Footprint:
    """The cost of `network`, whose sites are in the normal form.

    Weights that have no codes yet, biases, low-rank branches and the scales and shifts of
    prologues, of linear layers and convolutions alike, count 16 bits a number.
    """
    sites = [
        _site(name, module)
        for name, module in quantized_sites(network).items()
        if not isinstance(module, QuantAttend)
    ]
    return Footprint(tuple(sites), _other_parameters(network))


def _site(name: str, module: QuantLinear | QuantConv2d) -> SiteFootprint:
    shape = _matrix_shape(module)
    weight = None if module.coded is None else module.coded.scheme
    activation = None if module.activation is None else module.activation.scheme
    scheme = SiteScheme(weight, activation)
    return SiteFootprint(name, module.site.role.value, scheme, shape, tensor_cost(shape, weight))


def _matrix_shape(module: QuantLinear | QuantConv2d) -> tuple[int, int]:
    if isinstance(module, QuantLinear):
        return module.out_features, module.in_features
    return module.weight_shape[0], math.prod(module.weight_shape[1:])


def _other_parameters(network: nn.Module) -> int:
    total = sum(parameter.numel() for parameter in network.parameters())
    for module in quantized_sites(network).values():
        if isinstance(module, QuantAttend):
            continue
        total -= 0 if module.weight is None else module.weight.numel()
        total -= 0 if module.delta is None else module.delta.numel()
        # Buffers, which are not among the parameters.
        added = [module.shift, module.scale]
        if isinstance(module, QuantLinear):
            added += [module.lowrank_down, module.lowrank_up]
        total += sum(tensor.numel() for tensor in added if tensor is not None)
    return total
