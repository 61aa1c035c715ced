"""Quantized attention as tensors on disk, and back."""

from collections.abc import Mapping
from typing import get_args

import torch
from torch import Tensor

from bitscape.formats import TensorScheme
from bitscape.nn import HeadQuantizer, QuantAttend
from bitscape.quantizers import Grid, Probabilities

_KINDS: tuple[Probabilities, ...] = get_args(Probabilities)
_OPERANDS = ("q", "k", "v")


def attend_to_tensors(site: QuantAttend) -> dict[str, Tensor]:
    """How probabilities and values are rounded, and the static grids of all heads.

    `attend_mode` holds the number of the kind of probabilities, 0 for 16 bits, and whether values
    are shifted and summed.
    """
    kind = 0 if site.probabilities is None else 1 + _KINDS.index(site.probabilities)
    tensors = {"attend_mode": torch.tensor([kind, site.shift_and_sum], dtype=torch.uint8)}
    for name in _OPERANDS:
        quantizer = getattr(site, name)
        if isinstance(quantizer, HeadQuantizer):
            tensors[f"{name}_scale"] = quantizer.grid_scale
            if quantizer.grid_zero is not None:
                tensors[f"{name}_zero_point"] = quantizer.grid_zero
    return tensors


def restore_attend(site: QuantAttend, tensors: Mapping[str, Tensor], scheme: TensorScheme) -> None:
    """Fill a fresh twin, in place, with what `attend_to_tensors` stored."""
    kind, shifted = tensors["attend_mode"].tolist()
    grids = None
    if not scheme.dynamic:
        q, k, v = (
            Grid(tensors[f"{name}_scale"], tensors.get(f"{name}_zero_point")) for name in _OPERANDS
        )
        grids = (q, k, v)
    site.quantize(
        scheme,
        grids=grids,
        probabilities=_KINDS[kind - 1] if kind else None,
        shift_and_sum=bool(shifted),
    )
