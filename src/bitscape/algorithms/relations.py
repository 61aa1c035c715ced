"""Relations between positions of a feature map, and how far a student's are from a teacher's.

TRD of Feng et al., "MPQ-DM: Mixed Precision Quantization for Extremely Low Bit Diffusion Models",
arXiv:2412.11549: features are averaged over consecutive steps, each position is compared with all
others, and the distributions that this gives are matched by KL.

    f = F / |F|;  P[p, :] = softmax over q of <f_p, f_q> / temperature;  mean over p of KL(P_t || P)
"""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

Tokens = Float[Tensor, "batch token channel"]


def relation_loss(
    student: Tokens,
    teacher: Tokens,
    *,
    temperature: float = 0.2,
    itself: bool = False,
    rows: int = 512,
) -> Float[Tensor, ""]:
    """The mean over samples and positions of the KL of their relations, in nats.

    `itself` keeps the similarity of a position with itself, which is always 1 and says nothing.
    `rows` positions are compared at a time and once more on the way back, so that no more than
    (batch, rows, token) similarities are ever held. ValueError for less than two positions.
    """
    # The paper sums over samples and positions and weighs the sum by 100; the public code detaches
    # the student's features as well, so that nothing is learnt from it.
    if student.shape[1] < 2:
        raise ValueError(f"relations need positions to relate, got {student.shape[1]}")
    f, g = (functional.normalize(x.float(), dim=2) for x in (student, teacher))
    part = partial(_rows, f, g.detach(), temperature, itself)
    total = f.new_zeros(())
    for start in range(0, f.shape[1], rows):
        total = total + checkpoint(part, start, start + rows, use_reentrant=False)
    return total / (f.shape[0] * f.shape[1])


def _rows(
    f: Tokens, g: Tokens, temperature: float, itself: bool, start: int, stop: int
) -> Float[Tensor, ""]:
    """The sum of the divergences of positions from `start` to `stop`."""
    logs = []
    for x in (f, g):
        similarity = x[:, start:stop] @ x.transpose(1, 2) / temperature
        if not itself:
            similarity = similarity.diagonal_scatter(
                similarity.new_full(similarity.shape[:2], -torch.inf), start, 1, 2
            )
        logs.append(similarity.log_softmax(dim=2))
    q, p = logs
    terms = p.exp() * (p - q)
    # A position left out has probability 0 in both: 0 (-inf + inf) is meant to be 0.
    return terms.nan_to_num(nan=0.0).sum() if not itself else terms.sum()


def as_tokens(features: Tensor) -> Tokens:
    """Positions of a map (batch, channel, height, width) as tokens; tokens as they are."""
    return features.flatten(2).transpose(1, 2) if features.ndim == 4 else features
