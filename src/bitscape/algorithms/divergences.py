"""Losses between a student's and a teacher's distribution over a codebook, token by token.

"Dissecting Bit-Level Scaling Laws in Quantizing Vision Generative Models", arXiv 2501.06218, eq. 7.
p is the teacher's distribution, q the student's, M the teacher's k most probable codes:

    L  = sum_M q log(q/p) + sum_not-M p log(p/q)                                  as printed
    L* = sum_M (q log(q/p) - q + p) + sum_not-M (p log(p/q) - p + q) = L + 2 (T - S)

with T and S the teacher's and the student's mass inside M. The printed loss is no divergence: at
q = p its gradient drains mass out of M, and it has no lower bound at zero. L* takes each summand in
its generalised (Bregman) form, keeps reverse KL on the head and forward KL on the tail, is never
negative, and vanishes only at q = p. It is the default; the printed form is kept for comparison.

L* is bounded where the student leaks its mass into the tail: all that the head can then cost is
2 T. The chain rule of relative entropy gives a form with forward KL between the masses, too, which
is not, and of which L* is the first order in S - T:

    Lc = KL(T || S) + T KL(q_M || p_M) + (1 - T) KL(p_not-M || q_not-M)
       = (T / S) sum_M q log(q/p) + 2 T log(T/S) + sum_not-M p log(p/q)
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Logits = Float[Tensor, "*token code"]
PerToken = Float[Tensor, "*token"]
Divergence = Callable[[Logits, Logits], PerToken]

HEAD_SHARE = 600 / 4096
"""The share of a codebook taken as its head where the family samples from all of it."""


def head_size(vocabulary: int, top_k: int = 0) -> int:
    """k of TopKLD: the top-k that the family samples with, else 0.15 of the codebook.

    The paper finds the loss best when the two match. Families that sample from all codes would have
    k = V, which is reverse KL; the share it takes for VAR, 600 of 4,096, stands in for them.
    """
    return min(top_k, vocabulary) if top_k > 0 else round(HEAD_SHARE * vocabulary)


def topkld(
    student: Logits,
    teacher: Logits,
    *,
    k: int,
    variant: Literal["corrected", "paper", "chained"] = "corrected",
) -> PerToken:
    """L* ("corrected"), L ("paper") or Lc ("chained"), in nats.

    k = 0 is forward KL, k >= codes reverse KL in each.

    Ties at the k-th code go to the lower index. ValueError for a negative k.
    """
    if k < 0:
        raise ValueError(f"k counts the codes of the head, got {k}")
    log_q, log_p = _log_probabilities(student), _log_probabilities(teacher)
    head = _head(log_p, k)
    if variant == "chained" and 0 < k < log_p.shape[-1]:
        return _chained(log_q, log_p, head)
    q, p = log_q.exp(), log_p.exp()
    terms = torch.where(head, q, p) * (log_q - log_p)
    if variant == "corrected":
        terms = terms - (q - p)
    # Every term of the tail is that of the head with the opposite sign.
    return (terms * (2.0 * head - 1.0)).sum(dim=-1)


def _chained(log_q: Logits, log_p: Logits, head: Bool[Tensor, "*token code"]) -> PerToken:
    """Lc of a head that is neither empty nor everything."""
    outside = ~head
    own = log_q.masked_fill(outside, -torch.inf)
    log_s = own.logsumexp(dim=-1)
    log_t = log_p.masked_fill(outside, -torch.inf).logsumexp(dim=-1)
    # Of what lies inside the head, in shares that stay finite where the student has no mass there.
    inside = (own - log_s[..., None]).exp() * (log_q - log_p)
    tail = log_p.exp() * (log_p - log_q) * outside
    masses = log_t.exp() * (2 * (log_t - log_s) + inside.sum(dim=-1))
    return masses + tail.sum(dim=-1)


def forward_kl(student: Logits, teacher: Logits) -> PerToken:
    """KL(p || q) = sum p log(p/q), in nats: the student covers all that the teacher does."""
    q, p = _log_probabilities(student), _log_probabilities(teacher)
    return (p.exp() * (p - q)).sum(dim=-1)


def reverse_kl(student: Logits, teacher: Logits) -> PerToken:
    """KL(q || p) = sum q log(q/p), in nats: the student avoids what the teacher does not do."""
    return forward_kl(teacher, student)


def jensen_shannon(student: Logits, teacher: Logits) -> PerToken:
    """(KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2, in nats, at most log 2."""
    q, p = _log_probabilities(student), _log_probabilities(teacher)
    m = torch.logaddexp(q, p) - torch.log(q.new_tensor(2.0))
    return 0.5 * (p.exp() * (p - m) + q.exp() * (q - m)).sum(dim=-1)


def logit_mse(student: Logits, teacher: Logits) -> PerToken:
    """Mean squared difference of the logits, after its own mean over the codes is taken off.

    A constant added to all logits changes no probability and costs nothing here.
    """
    difference = _wide(student) - _wide(teacher)
    return (difference - difference.mean(dim=-1, keepdim=True)).square().mean(dim=-1)


def divergences(k: int) -> Mapping[str, Divergence]:
    """Every loss against a teacher, by name; `k` is the head of the forms of TopKLD."""
    return {
        "topkld": partial(topkld, k=k),
        "topkld-paper": partial(topkld, k=k, variant="paper"),
        "topkld-chained": partial(topkld, k=k, variant="chained"),
        "forward-kl": forward_kl,
        "reverse-kl": reverse_kl,
        "jensen-shannon": jensen_shannon,
        "logit-mse": logit_mse,
    }


def _head(p: Logits, k: int) -> Bool[Tensor, "*token code"]:
    """The k most probable codes of each token; none for 0, all from the number of codes up."""
    if not 0 < k < p.shape[-1]:
        return torch.full_like(p, k > 0, dtype=torch.bool)
    head = p >= p.topk(k, dim=-1, sorted=False).values.amin(dim=-1, keepdim=True)
    tied = head.sum(dim=-1) > k
    if tied.any():
        # Only rows whose last place is shared need the whole order, four times the work.
        order = p[tied].argsort(dim=-1, descending=True, stable=True)[..., :k]
        head[tied] = torch.zeros_like(head[tied]).scatter_(-1, order, True)
    return head


def _log_probabilities(logits: Logits) -> Logits:
    return _wide(logits).log_softmax(dim=-1)


def _wide(logits: Logits) -> Logits:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
