"""Precision and recall of a set of generated features against real ones."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Real = Float[Tensor, "real feature"]
Fake = Float[Tensor, "fake feature"]
Points = Float[Tensor, "point feature"]
Centres = Float[Tensor, "centre feature"]
_ROWS = 1024


class PrecisionRecall(NamedTuple):
    """Share of generated samples that look real, and share of real samples that are covered."""

    precision: float
    recall: float


def precision_recall(real: Real, fake: Fake, k: int = 3) -> PrecisionRecall:
    """Improved precision and recall with k-nearest-neighbour manifolds.

    A set's manifold is the union of balls around its points, each reaching its k-th neighbour;
    precision is the share of `fake` inside the manifold of `real`, recall the reverse.

    Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models",
    arXiv 1904.06991, eq. 1-3, with k = 3. Both values move with the two counts.
    """
    smallest = min(len(real), len(fake))
    if not 0 < k < smallest:
        raise ValueError(f"k = {k} neighbours need more than {k} samples a side, got {smallest}")
    real, fake = real.double(), fake.double()
    return PrecisionRecall(
        precision=float(_inside(fake, real, _radii(real, k)).double().mean()),
        recall=float(_inside(real, fake, _radii(fake, k)).double().mean()),
    )


def _radii(points: Points, k: int) -> Float[Tensor, " point"]:
    """The distance of each point to its k-th neighbour, itself not counted."""
    parts = [
        torch.cdist(rows, points).kthvalue(k + 1, dim=1).values for rows in points.split(_ROWS)
    ]
    return torch.cat(parts)


def _inside(
    points: Points, centres: Centres, radii: Float[Tensor, " centre"]
) -> Bool[Tensor, " point"]:
    """Whether each point lies in any ball."""
    return torch.cat(
        [(torch.cdist(rows, centres) <= radii).any(dim=1) for rows in points.split(_ROWS)]
    )
