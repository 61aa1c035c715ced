"""Centroids of codebooks: which tile a weight belongs to, and what its code stands for there."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int8, Int64, UInt8
from torch import Tensor

from bitscape.formats import Codebook, TensorScheme


@dataclass(frozen=True)
class Centroids:
    """The centroids of each tile: 8-bit integers `values` times one `scale` a tile."""

    values: Int8[Tensor, "tiles entries dim"]
    scale: Float[Tensor, " tiles"]

    def real(self) -> Float[Tensor, "tiles entries dim"]:
        """The centroids as real numbers."""
        return self.values.to(self.scale.dtype) * self.scale[:, None, None]


def round_centroids(real: Float[Tensor, "tiles entries dim"]) -> Centroids:
    """The centroids as they are stored: symmetric 8-bit integers, float16 scales."""
    scale = real.abs().amax(dim=(1, 2)).float() / 127
    half = torch.finfo(torch.float16)
    if bool((scale > half.max).any()):
        raise ValueError(f"centroids up to {float(real.abs().max()):.3g} do not fit their scale")
    scale = scale.clamp(min=half.smallest_normal).to(torch.float16).float()
    values = (real / scale[:, None, None]).round().clamp(-127, 127)
    return Centroids(values.to(torch.int8), scale)


def tiles_of(
    shape: tuple[int, int], scheme: TensorScheme, device: torch.device | None = None
) -> Int64[Tensor, "out vectors"]:
    """The tile of each vector of a weight of `shape`; tiles count along a row of tiles first."""
    assert isinstance(scheme.format, Codebook) and scheme.granularity.size is not None
    rows, columns = shape
    tall, wide = scheme.format.tile(shape, scheme.granularity.size)
    row = torch.arange(rows, device=device) // tall
    column = torch.arange(0, columns, scheme.format.dim, device=device) // wide
    return row[:, None] * (columns // wide) + column


def look_up_weight(
    codes: UInt8[Tensor, "out vectors"], centroids: Centroids, scheme: TensorScheme
) -> Float[Tensor, "out in"]:
    """The weights that `codes` stand for."""
    rows, vectors = codes.shape
    columns = vectors * centroids.values.shape[2]
    tiles = tiles_of((rows, columns), scheme, codes.device)
    return centroids.real()[tiles, codes.to(torch.int64)].view(rows, columns)
