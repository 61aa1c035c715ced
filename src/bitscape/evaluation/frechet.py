"""The Fréchet distance between two sets of features: features, then statistics, then a number."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

Mean = Float[np.ndarray, " feature"]
Covariance = Float[np.ndarray, "feature feature"]


@dataclass(frozen=True)
class Statistics:
    """Mean and covariance (divisor count - 1) of `count` feature vectors, in float64."""

    mean: Mean
    covariance: Covariance
    count: int


def statistics(features: Float[Tensor, "sample feature"]) -> Statistics:
    """The Gaussian summary of `features`; ValueError for fewer than two samples or for NaN."""
    if len(features) < 2:
        raise ValueError(
            f"a covariance needs at least 2 samples, got {len(features)}: raise the sample count"
        )
    rows = features.detach().cpu().double().numpy()
    if not np.isfinite(rows).all():
        raise ValueError(
            "the features hold NaN or infinity: the images or the extractor are broken"
        )
    return Statistics(rows.mean(0), np.atleast_2d(np.cov(rows, rowvar=False)), len(rows))


def frechet_distance(a: Statistics, b: Statistics) -> float:
    """The squared 2-Wasserstein distance between two Gaussians.

    d^2 = |m_a - m_b|^2 + tr(C_a) + tr(C_b) - 2 tr((C_a^(1/2) C_b C_a^(1/2))^(1/2))

    Dowson and Landau, "The Fréchet distance between multivariate normal distributions" (1982);
    used on network features by Heusel et al., "GANs Trained by a Two Time-Scale Update Rule",
    arXiv 1706.08500, eq. 6. It falls with the sample count even for a perfect sampler, so only
    values at equal counts may be compared.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(
            f"features of width {a.mean.size} and {b.mean.size} cannot be compared: "
            "use one extractor for both"
        )
    # The symmetric form stays real when a covariance is singular (fewer samples than features),
    # where a general matrix square root of C_a C_b returns complex numbers.
    root = _symmetric_root(a.covariance)
    cross = _roots(scipy.linalg.eigvalsh(_symmetrise(root @ b.covariance @ root))).sum()
    gap = np.square(a.mean - b.mean).sum()
    distance = gap + np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross
    return max(float(distance), 0.0)


def _symmetric_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = scipy.linalg.eigh(matrix)
    root: NDArray[np.float64] = (vectors * _roots(values)) @ vectors.T
    return root


def _symmetrise(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return (matrix + matrix.T) / 2


def _roots(eigenvalues: NDArray[np.float64]) -> NDArray[np.float64]:
    # Rounding makes zero eigenvalues slightly negative.
    return np.sqrt(np.clip(eigenvalues, 0, None))
