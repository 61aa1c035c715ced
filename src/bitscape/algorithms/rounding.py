"""AdaRound: learning whether each weight goes up or down, for any set of representable numbers.

Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", arXiv:2004.10568.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.formats import Format, MixedInt

# The sigmoid is stretched beyond [0, 1] and cut, so that its ends can be reached (eq. 23).
_LOW, _HIGH = -0.1, 1.1


def neighbours(
    x: Float[Tensor, "*view"], fmt: Format
) -> tuple[Float[Tensor, "*view"], Float[Tensor, "*view"]]:
    """The greatest value of `fmt` at or below `x` and the one above it.

    For integers these are floor and ceil. Beyond an end of the format they are its last two values.
    """
    values = fmt.values().to(x)
    above = torch.searchsorted(values, x.contiguous(), right=True).clamp(1, len(values) - 1)
    return values[above - 1], values[above]


def into_cell(
    x: Float[Tensor, "*view"], taken: Float[Tensor, "*view"], fmt: Format, lean: float = 0.02
) -> Float[Tensor, "*view"]:
    """The points nearest to `x` that round to the values `taken` of `fmt`.

    They keep the share `lean` of the distance to the next value between themselves and the border,
    so that what brought `taken` about is not undone by the first small step. Beyond the ends of the
    format, or of its row where rows differ, nothing is cut off.
    """
    below, above = _gaps(taken, fmt)
    return torch.minimum(
        torch.maximum(x, taken - (0.5 - lean) * below), taken + (0.5 - lean) * above
    )


def _gaps(
    taken: Float[Tensor, "*view"], fmt: Format
) -> tuple[Float[Tensor, "*view"], Float[Tensor, "*view"]]:
    """How far the values `taken` of `fmt` lie above the one before and below the next.

    Infinitely far where there is none.
    """
    if isinstance(fmt, MixedInt):
        low, high = (end.to(taken) for end in fmt.limits(taken))
        # A row of one bit has only its ends.
        spacing = torch.where(high - low == 2, 2.0, 1.0).to(taken)
        below, above = (spacing.where(taken != end, torch.inf) for end in (low, high))
        return below, above
    values = fmt.values().to(taken)
    place = torch.searchsorted(values, taken.contiguous())
    gaps = torch.nn.functional.pad(values.diff(), (1, 1), value=torch.inf)
    return gaps[place], gaps[place + 1]


def rectified_sigmoid(v: Float[Tensor, "*view"]) -> Float[Tensor, "*view"]:
    """h = clip(1.2 sigmoid(v) - 0.1, 0, 1): the share of the way up (eq. 23)."""
    return ((_HIGH - _LOW) * torch.sigmoid(v) + _LOW).clamp(0, 1)


def inverse_rectified_sigmoid(h: Float[Tensor, "*view"]) -> Float[Tensor, "*view"]:
    """The v with h(v) = h for h in [0, 1]."""
    return torch.logit((h - _LOW) / (_HIGH - _LOW))


def undecided(h: Float[Tensor, "*view"], beta: float) -> Float[Tensor, ""]:
    """mean(1 - |2 h - 1|^beta): zero once every weight has gone up or down (eq. 24)."""
    return (1 - (2 * h - 1).abs().pow(beta)).mean()


def annealed(progress: float, start: float = 20.0, stop: float = 2.0) -> float:
    """beta from `start` to `stop` along a cosine, `progress` from 0 to 1, as in the official code.

    A great beta lets most weights move and pushes only those that are nearly decided.
    """
    share = 0.5 * (1 + torch.cos(torch.tensor(progress * torch.pi)).item())
    return stop + (start - stop) * share
