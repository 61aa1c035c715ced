"""Low-rank branches: the part of a weight that is kept apart, in 16 bits.

Li et al., "SVDQuant: Absorbing Outliers by Low-Rank Components for 4-Bit Diffusion Models",
arXiv:2411.05007.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Factors = tuple[Float[Tensor, "out rank"], Float[Tensor, "rank in"]]


def truncated_svd(W: Float[Tensor, "out in"], rank: int) -> Factors:
    """B and A of the nearest B A of that rank, each with the roots of the singular values (eq. 6).

    Rounded to bfloat16, as a branch is stored.
    """
    left, values, right = torch.linalg.svd(W.double(), full_matrices=False)
    root = values[:rank].sqrt()
    up, down = left[:, :rank] * root, root[:, None] * right[:rank]
    return up.bfloat16().to(W.dtype), down.bfloat16().to(W.dtype)


def residual_branch(
    W: Float[Tensor, "out in"],
    rank: int,
    rounding: Callable[[Float[Tensor, "out in"]], Float[Tensor, "out in"]],
    error: Callable[[Float[Tensor, "out in"]], float],
    rounds: int,
) -> tuple[Factors, list[float]]:
    """The branch whose residual rounds best, and the error of each round.

    Each round takes the SVD of W - Q(W - B A) in place of W, as the official code does: what
    rounding loses is low-rank in part. The best of all rounds is kept; the first is the paper's.
    """
    best = factors = truncated_svd(W, rank)
    errors: list[float] = []
    for _ in range(rounds):
        rounded = rounding(W - factors[0] @ factors[1])
        errors.append(error(W - factors[0] @ factors[1] - rounded))
        if errors[-1] == min(errors):
            best = factors
        factors = truncated_svd(W - rounded, rank)
    return best, errors
