"""Sensitivity: how far an output moves when something inside is rounded, at each step."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitscape.algorithms.divergences import forward_kl


def divergence(
    reference: Float[Tensor, "batch token code"], logits: Float[Tensor, "batch token code"]
) -> Float[Tensor, "batch token"]:
    """KL(reference || logits) of the distributions of each token, in nats."""
    return forward_kl(logits, reference)


def relative_square(
    reference: Float[Tensor, " batch *rest"], output: Float[Tensor, " batch *rest"]
) -> Float[Tensor, "batch 1"]:
    """|output - reference|^2 / |reference|^2 of each sample."""
    difference = (output - reference).flatten(1).float().square().sum(1, keepdim=True)
    size = reference.flatten(1).float().square().sum(1, keepdim=True)
    return difference / size.clamp(min=torch.finfo(torch.float32).tiny)


def add_by_step(
    errors: Float[Tensor, "batch token"],
    step: Int[Tensor, "batch1 token1"],
    totals: Float[Tensor, "steps 2"],
) -> None:
    """Add `errors` to the sums of their steps, and their number to the counts, in place.

    A network that answers fewer positions than it reads answers the last ones.
    """
    answered = step[:, -errors.shape[1] :] if errors.shape[1] > 1 else step[:, :1]
    where = answered.expand(errors.shape).flatten()
    pair = torch.stack([errors.flatten(), torch.ones_like(errors.flatten())], dim=1)
    totals.index_add_(0, where, pair.to(totals))


def step_means(totals: Float[Tensor, "steps 2"]) -> list[float]:
    """The mean error of each step that was seen, in order."""
    seen = totals[:, 1] > 0
    means: list[float] = (totals[seen, 0] / totals[seen, 1]).tolist()
    return means
