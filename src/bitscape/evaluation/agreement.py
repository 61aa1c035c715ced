"""How far a discrete model's choices drift from full precision along shared randomness."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.structure import Call, Pipeline, Randomness, invoke

# The draws compared here must not be those that chose the prefixes.
_STREAM = 2**40


class Agreement(NamedTuple):
    """KL in nats a token, share of equal tokens, and how many tokens that is."""

    kl: float
    token_agreement: float
    tokens: int


@torch.no_grad()
def agreement(
    pipeline: Pipeline,
    full_precision: Pipeline,
    labels: Tensor,
    *,
    seed: int = 0,
    batch: int = 100,
) -> Agreement:
    """Compare next-token distributions on the prefixes that full precision samples itself.

    Full precision samples images for `labels` from `seed` with its own sampler options; its calls
    are recorded and replayed teacher-forced through both networks, so that at every position both
    see the same prefix. With p and q the softmax of their outputs (temperature 1, before guidance,
    top-k and top-p; the unconditional rows that guidance adds count like any other):

        kl              = mean of sum_v p(v) (ln p(v) - ln q(v))
        token_agreement = mean of [argmax_v (ln p(v) + g_v) = argmax_v (ln q(v) + g_v)]

    with one Gumbel draw g for both: the share of tokens they would choose alike, given the same
    past. How far two free-running samples drift apart is what PSNR and SSIM see.
    """
    kl = agreed = 0.0
    tokens = 0
    for start in range(0, len(labels), batch):
        part = labels[start : start + batch]
        for call in _replayed(full_precision, part, seed, start):
            p = invoke(full_precision.network, full_precision.clocks, call)
            q = invoke(pipeline.network, pipeline.clocks, call)
            copies = len(p) // len(part)
            draws = Randomness(seed + _STREAM, range(start * copies, start * copies + len(p)))
            for row in zip(p, q, draws.generators, strict=True):
                both = _compare(*row)
                kl, agreed, tokens = kl + both[0], agreed + both[1], tokens + both[2]
    for clock in (*pipeline.clocks.values(), *full_precision.clocks.values()):
        clock.unset()
    return Agreement(kl / tokens, agreed / tokens, tokens)


def _replayed(pipeline: Pipeline, labels: Tensor, seed: int, first: int) -> Sequence[Call]:
    calls: list[Call] = []
    pipeline.latents(labels, seed=seed, first=first, tap=lambda call, output: calls.append(call))
    return pipeline.adapter.replay(calls)


def _compare(
    p: Float[Tensor, "token code"], q: Float[Tensor, "token code"], generator: torch.Generator
) -> tuple[float, float, int]:
    """Sums over the tokens of one row; a row at a time keeps the float64 copies small."""
    log_p, log_q = p.double().log_softmax(-1), q.double().log_softmax(-1)
    noise = -torch.empty(p.shape, dtype=torch.float64).exponential_(generator=generator).log()
    noise = noise.to(p.device)
    same = (log_p + noise).argmax(-1) == (log_q + noise).argmax(-1)
    divergence = (log_p.exp() * (log_p - log_q)).sum()
    return float(divergence), float(same.sum()), len(p)
