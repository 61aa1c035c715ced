"""Codebooks of vectors under a metric of their own each: seeding and expectation-maximisation.

van Baalen et al., "GPTVQ: The Blessing of Dimensionality for LLM Quantization", arXiv:2402.15319.
Vectors x_ns of many bands b at once: all bands share the metrics M_s = C_s^T C_s of the steps s.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

Vectors = Float[Tensor, "bands rows steps dim"]
Books = Float[Tensor, "bands entries dim"]
Assigned = Int64[Tensor, "bands rows steps"]

# Distances held at once.
_CHUNK = 1 << 24


def seed(x: Vectors, real: Bool[Tensor, "bands rows"], entries: int) -> Books:
    """Vectors evenly spaced in the order of their Mahalanobis distance to the mean (sec. 4.3).

    `real` is False for rows that only fill up a band.
    """
    bands, _, steps, dim = x.shape
    flat = x.reshape(bands, -1, dim)
    weight = real.repeat_interleave(steps, dim=1).to(x.dtype).unsqueeze(-1)
    count = weight.sum(dim=1, keepdim=True)
    centred = (flat - (weight * flat).sum(dim=1, keepdim=True) / count) * weight
    covariance = centred.mT @ centred / count
    trace = covariance.diagonal(dim1=1, dim2=2).sum(-1)[:, None, None]
    eye = torch.eye(dim, dtype=x.dtype, device=x.device)
    # Vectors on a line, or all equal, still have an order.
    covariance = covariance + (1e-6 * trace + torch.finfo(x.dtype).tiny) * eye
    distance = (centred @ torch.linalg.inv(covariance) * centred).sum(-1)
    order = distance.masked_fill(weight.squeeze(-1) == 0, torch.inf).argsort(dim=1)
    share = torch.linspace(0, 1, entries, device=x.device, dtype=x.dtype)
    picked = (share * (count.squeeze(-1) - 1)).round().long()
    index = order.gather(1, picked)
    return flat.gather(1, index.unsqueeze(-1).expand(-1, -1, dim))


def assign(x: Vectors, corners: Float[Tensor, "steps dim dim"], books: Books) -> Assigned:
    """argmin_k (x - c_k)^T M_s (x - c_k) for each vector."""
    bands, rows, steps, _ = x.shape
    size = max(1, _CHUNK // (rows * steps * books.shape[1]))
    parts = zip(torch.split(x, size), torch.split(books, size), strict=True)
    return torch.cat([_nearest(some, corners, theirs) for some, theirs in parts])


def centres(
    x: Vectors,
    corners: Float[Tensor, "steps dim dim"],
    real: Bool[Tensor, "bands rows"],
    assigned: Assigned,
    books: Books,
) -> Books:
    """(sum M_s)^+ sum M_s x over the vectors of each entry; an entry without any stays."""
    bands, rows, steps, dim = x.shape
    entries = books.shape[1]
    metric = corners.mT @ corners
    member = (torch.arange(bands, device=x.device)[:, None, None] * entries + assigned).flatten()
    weight = real[:, :, None, None].to(x.dtype)
    pulled = ((metric @ x.unsqueeze(-1)).squeeze(-1) * weight).reshape(-1, dim)
    pull = x.new_zeros(bands * entries, dim).index_add_(0, member, pulled)
    # How often each step's metric falls to each entry, in place of one matrix a vector.
    place = member * steps + torch.arange(steps, device=x.device).repeat(bands * rows)
    count = x.new_zeros(bands * entries * steps)
    count.index_add_(0, place, weight.expand(bands, rows, steps, 1).reshape(-1))
    mass = (count.view(-1, steps) @ metric.reshape(steps, -1)).view(-1, dim, dim)
    empty = mass.diagonal(dim1=1, dim2=2).sum(-1) == 0
    eye = torch.eye(dim, dtype=x.dtype, device=x.device)
    mass = torch.where(empty[:, None, None], eye, mass)
    moved = torch.linalg.solve(mass, pull.unsqueeze(-1)).squeeze(-1)
    kept = torch.where(empty[:, None], books.reshape(-1, dim), moved)
    return kept.view(bands, entries, dim)


def fit_books(
    x: Vectors,
    corners: Float[Tensor, "steps dim dim"],
    real: Bool[Tensor, "bands rows"],
    entries: int,
    iterations: int,
) -> Books:
    """Codebooks by expectation-maximisation from `seed`, until no assignment changes."""
    books = seed(x, real, entries)
    before = None
    for _ in range(iterations):
        assigned = assign(x, corners, books)
        if before is not None and torch.equal(assigned, before):
            break
        books = centres(x, corners, real, assigned, books)
        before = assigned
    return books


def _nearest(x: Vectors, corners: Tensor, books: Books) -> Assigned:
    """Nearest in the basis C_s, where the metric is the identity: |Cx|^2 is the same for all."""
    points = torch.einsum("sij,bnsj->bsni", corners, x)
    centroids = torch.einsum("sij,bkj->bski", corners, books)
    distance = centroids.square().sum(-1).unsqueeze(-2) - 2 * points @ centroids.mT
    return distance.argmin(-1).transpose(1, 2)
