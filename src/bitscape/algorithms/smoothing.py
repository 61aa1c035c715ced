"""Scales that move difficulty from activations to weights: SmoothQuant and AWQ.

    X W^T = (X / s) (W diag(s))^T        for every s > 0, one for each input channel

A fold has one s for all its consumers. All quantizers here are scale-equivariant, so that c s is as
good as s for any number c: only ratios between channels matter.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Channels = Float[Tensor, " channel"]

# The floor that the official code of SmoothQuant puts under both maxima and under the scale.
FLOOR = 1e-5


def column_maxima(weights: Sequence[Float[Tensor, "_ channel"]]) -> Channels:
    """max over all rows of all `weights` of |W[:, j]|: what one fold's consumers ask together."""
    return torch.stack([W.abs().amax(dim=0) for W in weights]).amax(dim=0)


def smoothquant_scale(x_max: Channels, w_max: Channels, alpha: float) -> Channels:
    """s_j = max|X_j|^alpha / max|W_j|^(1 - alpha), and 1 for a channel that is never used.

    Xiao et al., "SmoothQuant", arXiv:2211.10438, eq. 4; equal to the official code on live
    channels. There a dead channel gets the floor as its scale, which would blow up whatever reaches
    it later.
    """
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha shares the difficulty out: it lies in [0, 1], got {alpha}")
    ratio = x_max.float().pow(alpha) / w_max.float().clamp(min=FLOOR).pow(1 - alpha)
    return torch.where((x_max > 0) & (w_max > 0), ratio.clamp(min=FLOOR), torch.ones_like(ratio))


def awq_scale(x_mean: Channels, alpha: float) -> Channels:
    """s_j = mean|X_j|^alpha, divided by sqrt(max s min s).

    Lin et al., "AWQ", arXiv:2306.00978, eq. 5, with the normalisation of the official code; means
    are bounded below by 1e-4 as there.
    """
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha is an exponent in [0, 1], got {alpha}")
    scale = x_mean.float().pow(alpha).clamp(min=1e-4)
    scale = scale / (scale.max() * scale.min()).sqrt()
    return torch.where(x_mean > 0, scale, torch.ones_like(scale))


def unit_gauge(scale: Channels) -> Channels:
    """`scale` over its geometric mean: the same result in every quantizer, in a tame range."""
    return (scale.double() / scale.double().log().mean().exp()).to(scale.dtype)
