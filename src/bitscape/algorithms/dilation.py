"""Weight dilation: scale channels up as far as no output channel's weight range grows.

Liu et al., "DilateQuant", arXiv:2409.14307, eq. 10 to 12. Printed literally, the rule divides by
zero for every weight that is not negative; each weight is meant to be compared with the end of its
row's range that has its own sign.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.algorithms.gps import balancing_scale

Channels = Float[Tensor, " channel"]

# A nearly dead column could be dilated without end, and its activations would vanish.
LARGEST = 16.0


def dilation_scale(
    weights: Sequence[Float[Tensor, "_ *group channel"]], *, magnitudes: bool = False
) -> Float[Tensor, " column"]:
    """s_k = min over weights w of column k of (the end of w's row on w's side) / w, at least 1.

    After W diag(s) every row has the extremes it had; s is 1 for the columns that hold one. A row
    is what shares a range: a view (out, group, column of the group) has one in each group, and s
    for the columns of all. With `magnitudes` a row keeps its largest magnitude alone, all that the
    step of a symmetric grid depends on (not in the paper, whose grids are asymmetric).
    """
    found = torch.stack([_one(W.abs() if magnitudes else W) for W in weights])
    return found.amin(dim=0).clamp(1.0, LARGEST)


def balanced_dilation_scale(
    full: Channels, ends: Float[Tensor, "end channel"], A: Channels, B: Channels
) -> Channels:
    """The least error between no dilation and `full` dilation, without losing the smaller range.

    With A_k and B_k the errors of rounding the inputs and the weights of channel k behind full
    dilation, a scale s gives E_k(s) = A_k (s / full)^2 + B_k (full / s)^2, least at
    s = full (B_k / A_k)^(1/4). Each row of `ends` says how far the channels reach from zero to one
    end of the range: max |x_k| alone for a symmetric grid, max x_k and -min x_k, at least zero, for
    one with a zero point. s never lets a channel reach further, to either end, than the widest one
    does after full dilation. Not in the paper: full dilation raises the activations' share of the
    error where their range does not shrink.
    """
    reach = (ends / full).amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    within = (ends / reach).amax(dim=0)
    return torch.maximum(within, full * balancing_scale(A, B)).clamp(min=1.0).minimum(full)


def _one(W: Tensor) -> Tensor:
    most = torch.where(W > 0, W.amax(dim=-1, keepdim=True), W.amin(dim=-1, keepdim=True))
    return torch.where(W == 0, torch.inf, most / W).amin(dim=0).flatten()
