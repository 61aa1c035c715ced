"""Even samples that no period of the data can hide from."""

import torch
from jaxtyping import Int64
from torch import Tensor

# The fractions of its multiples fall evenly into [0, 1), whatever residue class they are taken of.
_GOLDEN = 0.6180339887498949


def spread(count: int, wanted: int, device: torch.device) -> Int64[Tensor, " chosen"]:
    """Up to `wanted` of `count` places, ascending: one in each of so many even stretches.

    Not at a fixed stride: values come by rows of channels, tokens by rows of an image, and a stride
    that shares a divisor with the length of a row would see the same few channels or columns in
    every row. Each place lies elsewhere in its stretch, at the multiples of the golden ratio.
    """
    if count <= wanted:
        return torch.arange(count, device=device)
    stretch = torch.arange(wanted, dtype=torch.float64, device=device)
    places = (stretch + stretch * _GOLDEN % 1) * (count / wanted)
    return places.long().unique()
