"""Choosing the samples to calibrate on by the distribution of their features.

PTQ4ARVG (arXiv:2601.21238, sec. 4.3) keeps the samples of largest Mahalanobis distance

    rho(x) = sqrt((x - mean)^T S^-1 (x - mean)).

With fewer samples than channels and the pseudo-inverse of the plain covariance, as in its code,
rho is the same number (n - 1) / sqrt(n) for every sample; a shrunk covariance keeps them apart.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Features = Float[Tensor, "sample channel"]


def shrunk_covariance(F: Features) -> Float[Tensor, "channel channel"]:
    """(1 - a) S + a (tr S / channels) I, with the share a that is expected to be nearest.

    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices",
    J. Multivariate Anal. 88 (2004), lemma 3.3. Identity when all samples are equal.
    """
    n, channels = F.shape
    X = (F - F.mean(dim=0)).double()
    S = X.T @ X / n
    mean = S.trace() / channels
    identity = torch.eye(channels, dtype=S.dtype, device=S.device)
    spread = (S - mean * identity).square().sum()
    if not bool(spread > 0):
        return torch.where(mean > 0, mean, 1.0) * identity
    # sum_k |x_k x_k^T - S|^2 / n^2 without building the outer products.
    noise = ((X.square().sum(dim=1).square().sum() - n * S.square().sum()) / n**2).clamp(min=0)
    share = (noise / spread).clamp(max=1.0)
    return (1 - share) * S + share * mean * identity


def mahalanobis(F: Features) -> Float[Tensor, " sample"]:
    """rho of each sample under the shrunk covariance of all of them."""
    X = (F - F.mean(dim=0)).double()
    factor = torch.linalg.cholesky(shrunk_covariance(F))
    whitened: Tensor = torch.linalg.solve_triangular(factor, X.T, upper=False)
    distances: Tensor = whitened.norm(dim=0)
    return distances


def farthest(F: Features, keep: int) -> Int64[Tensor, " kept"]:
    """The `keep` samples of largest Mahalanobis distance, in their order."""
    return mahalanobis(F).topk(keep).indices.sort().values


def herded(F: Features, keep: int) -> Int64[Tensor, " kept"]:
    """`keep` samples whose kernel mean is near that of all, in their order.

    Kernel herding: each next sample maximises mean_j k(x, x_j) - mean over the chosen of k(x, c),
    with a Gaussian kernel as wide as the median distance. Chen et al., "Super-Samples from Kernel
    Herding", arXiv:1203.3472, eq. 8. Unlike the farthest samples, they resemble the whole.
    """
    distance = torch.cdist(F.double(), F.double()).square()
    width = distance[distance > 0].median() if bool((distance > 0).any()) else distance.new_ones(())
    K = torch.exp(-distance / width)
    target = K.mean(dim=1)
    chosen: list[int] = []
    drawn = torch.zeros_like(target)
    for count in range(1, keep + 1):
        score = target - drawn / count
        score[chosen] = -torch.inf
        chosen.append(int(score.argmax()))
        drawn += K[chosen[-1]]
    return torch.tensor(sorted(chosen), device=F.device)
