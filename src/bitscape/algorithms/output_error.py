"""The error of a layer's output once its input and its weight are rounded."""

import torch
from jaxtyping import Float
from torch import Tensor


def output_error(
    X: Float[Tensor, "row channel"],
    X_hat: Float[Tensor, "row channel"],
    W: Float[Tensor, "out channel"],
    W_hat: Float[Tensor, "out channel"],
    weights: Float[Tensor, " row"] | None = None,
) -> float:
    """sum over rows of |X^ W^^T - X W^T|^2, each row times its weight."""
    # The difference of two nearly equal products would lose digits that this form keeps.
    error = X @ (W_hat - W).T
    if X_hat is not X:
        error.addmm_(X_hat - X, W_hat.T)
    rows = error.square().sum(dim=1)
    return float(rows.sum() if weights is None else torch.dot(rows, weights))
