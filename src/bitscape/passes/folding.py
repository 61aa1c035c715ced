"""Making a change of basis: in the prologues of the consumers, then in the producer."""

from collections.abc import Sequence

import torch
from torch import nn

from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes.site_weight import layer_of
from bitscape.passes.transform import Transform
from bitscape.structure import Absorb, Fold

AFFINE = frozenset({Absorb.SCALE, Absorb.SHIFT})


def consumers(network: nn.Module, fold: Fold) -> list[QuantLinear | QuantConv2d]:
    """The layers that read the fold's x; they have to be in the normal form."""
    return [layer_of(network, name) for name in fold.consumers]


def channels(layer: QuantLinear | QuantConv2d) -> int:
    """The number of input channels."""
    if isinstance(layer, QuantLinear):
        return layer.in_features
    return layer.weight_shape[1] * layer.groups


def absorbed(fold: Fold, layers: Sequence[QuantLinear | QuantConv2d]) -> frozenset[Absorb]:
    """What of an affine change the producer takes over from its consumers, exactly.

    Never the shift of a convolution that pads with zeros: they would have to move with it.
    """
    padded = any(isinstance(layer, QuantConv2d) and layer.pads_with_zeros for layer in layers)
    return (fold.takes & AFFINE) - ({Absorb.SHIFT} if padded else frozenset())


def apply_transform(network: nn.Module, fold: Fold, transform: Transform) -> None:
    """Change the basis of the fold's consumers and let its producer take over what it can.

    The function of the network stays what it was. A rotation can only be taken over where nothing
    of the affine part, which comes before it, is left.
    """
    layers = consumers(network, fold)
    affine = transform.scale is not None or transform.shift is not None
    for layer in layers:
        if affine:
            assert layer.weight is not None
            ones = torch.ones(channels(layer), device=layer.weight.device)
            layer.affine(ones if transform.scale is None else transform.scale, transform.shift)
        if transform.order:
            assert isinstance(layer, QuantLinear)
            layer.rotate(transform.order, transform.signs)
    taken = absorbed(fold, layers)
    if affine and taken:
        _push(network, fold, transform, layers, taken)
    whole = all(layer.scale is None and layer.shift is None for layer in layers)
    if transform.order and fold.turn is not None and whole:
        fold.turn(network, Transform(order=transform.order, signs=transform.signs).inputs)
        for layer in layers:
            assert isinstance(layer, QuantLinear)
            layer.drop_rotation()


def costs_work(network: nn.Module, fold: Fold, transform: Transform) -> bool:
    """Whether something of `transform` has to be computed at run time."""
    taken = absorbed(fold, consumers(network, fold))
    scale = transform.scale is not None and Absorb.SCALE not in taken
    shift = transform.shift is not None and Absorb.SHIFT not in taken
    return scale or shift or (transform.order > 1 and fold.turn is None)


def _push(
    network: nn.Module,
    fold: Fold,
    transform: Transform,
    layers: Sequence[QuantLinear | QuantConv2d],
    taken: frozenset[Absorb],
) -> None:
    weight = layers[0].weight
    assert weight is not None
    ones = torch.ones(channels(layers[0])).to(weight)
    scale, shift = ones, torch.zeros_like(ones)
    if Absorb.SCALE in taken and transform.scale is not None:
        scale = transform.scale.to(weight)
    if Absorb.SHIFT in taken and transform.shift is not None:
        shift = transform.shift.to(weight)
    fold.push(network, scale, shift)
    for layer in layers:
        layer.drop_prologue(taken)
