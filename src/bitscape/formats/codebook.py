"""Codebooks: one code names a short vector of weights."""

import math
from dataclasses import dataclass
from typing import NoReturn

from jaxtyping import Float32, Real, UInt8
from torch import Tensor

TILE_COLUMNS = 256
"""The most columns of a tile, as in GPTVQ (arXiv:2402.15319, sec. 4.1)."""


@dataclass(frozen=True)
class Codebook:
    """A set of 2^(bits dim) centroids in `dim` dimensions: `bits` bits for each weight.

    The centroids are data and live beside the format, shape (entries, dim) for each tile of a
    matrix. The bounds are NaN, and the methods of `Format` that need fixed numbers raise
    ValueError.
    """

    bits: int
    dim: int

    def __post_init__(self) -> None:
        if self.bits < 1 or self.dim < 1 or self.bits * self.dim > 8:
            raise ValueError(
                f"a codebook has at least 1 bit a weight, at least 1 weight a code and at most "
                f"8 bits a code, got {self.bits} x {self.dim}"
            )

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """ "codebook4x2"."""
        return f"codebook{self.bits}x{self.dim}"

    @property
    def code_bits(self) -> int:
        """Bits that hold one code, which stands for `dim` weights."""
        return self.bits * self.dim

    @property
    def entries(self) -> int:
        """The number of centroids."""
        return 1 << self.code_bits

    def tile(self, shape: tuple[int, int], size: int) -> tuple[int, int]:
        """Rows and columns of the tiles of about `size` weights that share a codebook.

        Tiles are as wide as divides the matrix, up to 256 columns, and split its rows evenly; the
        last ones may have fewer rows. ValueError when `dim` does not divide the width.
        """
        rows, columns = shape
        if columns % self.dim:
            raise ValueError(f"vectors of {self.dim} do not divide a width of {columns}")
        steps = columns // self.dim
        most = max(1, TILE_COLUMNS // self.dim)
        wide = self.dim * max(n for n in range(1, min(steps, most) + 1) if steps % n == 0)
        bands = max(1, round(rows * wide / size))
        return -(-rows // bands), wide

    def _no_numbers(self) -> NoReturn:
        raise ValueError(
            f"{self.name} has no numbers of its own: its codes name centroids, stored beside them"
        )

    @property
    def lowest(self) -> float:
        """NaN: not defined without centroids."""
        return math.nan

    @property
    def highest(self) -> float:
        """NaN: not defined without centroids."""
        return math.nan

    @property
    def largest(self) -> float:
        """NaN: not defined without centroids."""
        return math.nan

    def values(self) -> Float32[Tensor, " value"]:
        """Not defined without centroids."""
        self._no_numbers()

    def round(self, x: Real[Tensor, "*shape"], *, inplace: bool = False) -> Real[Tensor, "*shape"]:
        """Not defined without centroids."""
        self._no_numbers()

    def encode(self, rounded: Real[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
        """Not defined without centroids."""
        self._no_numbers()

    def decode(self, codes: UInt8[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
        """Not defined without centroids."""
        self._no_numbers()
