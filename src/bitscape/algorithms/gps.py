"""Gain-projected scaling (GPS): the scale of each channel in closed form.

Dividing channel i of the activations by t and multiplying its weights by t multiplies its share A_i
of the error of rounding activations by t^2 and its share B_i of that of rounding weights by t^-2,
as long as the widest channel still sets both steps. The gain

    g_i(t) = (A_i + B_i - t^2 A_i - B_i / t^2) / 2

is concave with its maximum at t = (B_i / A_i)^(1/4), where A_i + B_i has become 2 sqrt(A_i B_i).
Liu et al., "PTQ4ARVG", arXiv:2601.21238, eq. 15. The paper prints sums of magnitudes under a square
root (eq. 16); its code computes the maximiser of eq. 15, as is done here.
"""

import torch
from jaxtyping import Float
from torch import Tensor

Channels = Float[Tensor, " channel"]


def error_shares(
    X: Float[Tensor, "row channel"],
    X_hat: Float[Tensor, "row channel"],
    W: Float[Tensor, "out channel"],
    W_hat: Float[Tensor, "out channel"],
) -> tuple[Channels, Channels]:
    """A_i = |x_i - x^_i|^2 |w^_i|^2 and B_i = |x_i|^2 |w_i - w^_i|^2 of each input channel.

    Shares of several consumers of one input add up; rows may be weighted by the roots of weights.
    """
    A = (X - X_hat).square().sum(dim=0) * W_hat.square().sum(dim=0)
    B = X.square().sum(dim=0) * (W - W_hat).square().sum(dim=0)
    return A, B


def gps_gain_factors(A: Channels, B: Channels, widest: int) -> Channels:
    """t_i = (B_i / A_i)^(1/4) against t = 1 of the widest channel; 1 where either share is nothing.

    The code of the paper multiplies all of them by a common s*, which no quantizer notices, but
    not the degenerate channels, which so fall out of the common gauge.
    """
    t = balancing_scale(A, B)
    t[widest] = 1.0
    return t


def balancing_scale(A: Channels, B: Channels) -> Channels:
    """(B_i / A_i)^(1/4), behind which both shares are sqrt(A_i B_i); 1 where either is nothing."""
    live, ones = (A > 0) & (B > 0), torch.ones_like(A)
    return (B / A.where(live, ones)).pow(0.25).where(live, ones)


def within_validity(t: Channels, spans: Channels) -> Channels:
    """`t` clamped to [R_i / R_widest, 1], outside of which the widest channel no longer rules.

    `spans` are the ranges R of the channels. A smaller t would make channel i the one that sets the
    activations' step, a larger one that of the weights.
    """
    lowest = spans / spans.max().clamp(min=torch.finfo(spans.dtype).tiny)
    return t.clamp(max=1.0).maximum(lowest.clamp(min=torch.finfo(t.dtype).eps))


def predicted_error(A: Channels, B: Channels, t: Channels) -> float:
    """sum_i t_i^2 A_i + B_i / t_i^2: what the model expects of the layer's squared error."""
    return float((t.square() * A + B / t.square()).sum())
