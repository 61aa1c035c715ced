"""Attention probabilities on grids that fit numbers between 0 and 1, most of them near 0."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.formats import Float as FloatFormat

Probabilities = Literal["uniform", "log2", "logsqrt2", "float"]
"""Equal steps; powers of two or of its square root; the floats of as many bits."""

_FLOATS = {8: FloatFormat(4, 3), 6: FloatFormat(3, 2), 4: FloatFormat(2, 1)}


def round_probabilities(
    p: Float[Tensor, "*shape"], kind: Probabilities, bits: int
) -> Float[Tensor, "*shape"]:
    """`p` in [0, 1] written in `bits` bits; 1 and 0 stay what they are.

    uniform: round(p n) / n with n = 2^bits - 1. log2: 2^-c with c = round(-log2 p), and 0 where c
    would need more than n - 1, the last code being kept for zero; logsqrt2 halves the exponents'
    step (PTQ4ARVG's code for PAR). float: e4m3, e3m2 or e2m1, with 1 at the largest number.
    """
    last = 2**bits - 1
    if kind == "uniform":
        whole: Tensor = (p * last).round()
        return whole.div(last)
    if kind == "float":
        if bits not in _FLOATS:
            raise ValueError(f"float probabilities have 8, 6 or 4 bits, got {bits}")
        largest = _FLOATS[bits].largest
        rounded: Tensor = _FLOATS[bits].round(p * largest)
        return rounded.div(largest)
    steps = 1 if kind == "log2" else 2
    code = (-steps * p.log2()).round()
    return torch.where(code < last, torch.exp2(-code / steps), torch.zeros_like(p))
