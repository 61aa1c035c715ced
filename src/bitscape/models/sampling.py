"""Pure functions between two calls of a sampler: guidance and the choice of tokens."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

Logits = Float[Tensor, "batch token code"]


def doubled(labels: Int[Tensor, " image"], without: int) -> Int[Tensor, " both"]:
    """`labels`, then the class `without` any condition as often: the batch that `guide` reads."""
    return torch.cat([labels, torch.full_like(labels, without)])


def guide(both: Float[Tensor, " both *rest"], strength: float) -> Float[Tensor, " batch *rest"]:
    """(1 + s) conditional - s unconditional, for outputs stacked in that order along the batch."""
    conditional, unconditional = both.chunk(2)
    return torch.lerp(unconditional, conditional, 1 + strength)


def pick_tokens(
    logits: Logits, noise: Logits, *, top_k: int = 0, top_p: float = 0.0
) -> Int[Tensor, "batch token"]:
    """A sample of softmax(logits), restricted to the likeliest codes, by the Gumbel-max trick.

    argmax(logits + Gumbel noise) is distributed as the softmax. Two models that share the noise
    pick the same token unless their logits differ enough to matter, which couples full-precision
    and quantized runs more tightly than a shared uniform draw through the cumulative sum.
    """
    logits = logits.float()
    if top_k > 0:
        floor = logits.topk(min(top_k, logits.shape[-1]), dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < floor, -torch.inf)
    if 0 < top_p < 1:
        ordered, index = logits.sort(dim=-1)
        outside = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
        outside[..., -1] = False
        logits = logits.masked_fill(outside.scatter(-1, index, outside), -torch.inf)
    return (logits + noise).argmax(dim=-1)
