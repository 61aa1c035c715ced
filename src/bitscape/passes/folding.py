"""Making a change of basis: in the prologues of the consumers, then in the producer."""

from collections.abc import Sequence

import torch
from torch import nn

from bitscape.nn import QuantLinear
from bitscape.passes.transform import Transform
from bitscape.structure import Absorb, Fold

AFFINE = frozenset({Absorb.SCALE, Absorb.SHIFT})


def consumers(network: nn.Module, fold: Fold) -> list[QuantLinear]:
    """The layers that read the fold's x; they have to be linear and in the normal form."""
    layers = [network.get_submodule(name) for name in fold.consumers]
    linear = [layer for layer in layers if isinstance(layer, QuantLinear)]
    assert len(linear) == len(layers)
    return linear


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
            ones = torch.ones(layer.in_features, device=layer.weight.device)
            layer.affine(ones if transform.scale is None else transform.scale, transform.shift)
        if transform.order:
            layer.rotate(transform.order, transform.signs)
    if affine and fold.takes & AFFINE:
        _push(network, fold, transform, layers)
    whole = all(layer.scale is None and layer.shift is None for layer in layers)
    if transform.order and fold.turn is not None and whole:
        fold.turn(network, Transform(order=transform.order, signs=transform.signs).inputs)
        for layer in layers:
            layer.drop_rotation()


def costs_work(fold: Fold, transform: Transform) -> bool:
    """Whether something of `transform` has to be computed at run time."""
    scale = transform.scale is not None and Absorb.SCALE not in fold.takes
    shift = transform.shift is not None and Absorb.SHIFT not in fold.takes
    return scale or shift or (transform.order > 1 and fold.turn is None)


def _push(
    network: nn.Module, fold: Fold, transform: Transform, layers: Sequence[QuantLinear]
) -> None:
    weight = layers[0].weight
    assert weight is not None
    ones = torch.ones(layers[0].in_features).to(weight)
    scale, shift = ones, torch.zeros_like(ones)
    if Absorb.SCALE in fold.takes and transform.scale is not None:
        scale = transform.scale.to(weight)
    if Absorb.SHIFT in fold.takes and transform.shift is not None:
        shift = transform.shift.to(weight)
    fold.push(network, scale, shift)
    for layer in layers:
        layer.drop_prologue(fold.takes & AFFINE)
