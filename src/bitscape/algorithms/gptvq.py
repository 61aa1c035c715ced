"""GPTVQ: GPTQ's sweep over vectors of columns, each rounded to an entry of its tile's codebook.

van Baalen et al., "GPTVQ: The Blessing of Dimensionality for LLM Quantization", arXiv:2402.15319.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from bitscape.algorithms.codebooks import assign, fit_books
from bitscape.algorithms.gptq import GPTQReport, gptq, relative_error
from bitscape.formats import Codebook, TensorScheme
from bitscape.quantizers import Centroids, look_up_weight, round_centroids, tiles_of


@dataclass(frozen=True)
class VectorTiles:
    """Fits the codebooks of a column of tiles when its turn comes, and rounds vectors to them.

    Codebooks that are there from the start are taken as they are.

    `books[i]` are those of the i-th column of tiles, one a band of rows; `codes` what was chosen.
    """

    shape: tuple[int, int]
    scheme: TensorScheme
    iterations: int = 100
    corners: dict[int, Tensor] = field(default_factory=dict)
    books: dict[int, Tensor] = field(default_factory=dict)
    codes: dict[int, Tensor] = field(default_factory=dict)

    @property
    def format(self) -> Codebook:
        """The codebook format of the scheme."""
        if not isinstance(self.scheme.format, Codebook):
            raise ValueError(f"{self.scheme} has no codebook: write a scheme such as W2A16,vq2d")
        return self.scheme.format

    @property
    def tile(self) -> tuple[int, int]:
        """Rows and columns of a tile."""
        assert self.scheme.granularity.size is not None
        return self.format.tile(self.shape, self.scheme.granularity.size)

    @property
    def group(self) -> int | None:
        """Columns of a tile."""
        return self.tile[1]

    def prepare(self, corners: Float[Tensor, "steps width width"], columns: list[int]) -> None:
        """Keep what errors cost at each vector of columns."""
        first = columns[:: self.format.dim]
        self.corners.update(zip(first, corners.unbind(), strict=True))

    def fit(self, columns: Float[Tensor, "out group"], index: int) -> None:
        """Fit one codebook a band of rows, on weights that make up for all columns before."""
        fmt, (tall, wide) = self.format, self.tile
        if index // wide in self.books:
            return
        banded = self._banded(columns).reshape(-1, tall, wide // fmt.dim, fmt.dim)
        rows = torch.arange(banded.shape[0] * tall, device=columns.device)
        real = (rows < len(columns)).view(-1, tall)
        corners = [self.corners[c] for c in range(index, index + wide, fmt.dim)]
        self.books[index // wide] = fit_books(
            banded, torch.stack(corners), real, fmt.entries, self.iterations
        )

    def round(self, columns: Float[Tensor, "out width"], index: int) -> Float[Tensor, "out width"]:
        """Each row's centroid of the least cost."""
        books = self.books[index // self.tile[1]]
        banded = self._banded(columns).unsqueeze(2)
        chosen = assign(banded, self.corners[index].unsqueeze(0), books).squeeze(2)
        self.codes[index] = chosen.flatten()[: len(columns)].to(torch.uint8)
        values = books.gather(1, chosen.unsqueeze(-1).expand(-1, -1, books.shape[2]))
        return values.flatten(0, 1)[: len(columns)]

    def result(self) -> tuple[UInt8[Tensor, "out vectors"], Float[Tensor, "tiles entries dim"]]:
        """The codes, and the centroids of all tiles."""
        codes = torch.stack([self.codes[column] for column in sorted(self.codes)], dim=1)
        books = torch.stack([self.books[i] for i in sorted(self.books)], dim=1)
        return codes, books.flatten(0, 1)

    def _banded(self, columns: Tensor) -> Float[Tensor, "bands rows width"]:
        """Rows cut into bands of tiles; the last band is filled with zeros."""
        tall = self.tile[0]
        padded = functional.pad(columns, (0, 0, 0, -len(columns) % tall))
        return padded.reshape(-1, tall, columns.shape[1])


def gptvq(
    W: Float[Tensor, "out in"],
    H: Float[Tensor, "in in"],
    scheme: TensorScheme,
    *,
    iterations: int = 100,
    updates: int = 25,
    sweeps: int = 3,
    block: int = 128,
    damping: float = 0.01,
) -> tuple[UInt8[Tensor, "out vectors"], Centroids, GPTQReport]:
    """Codes, stored centroids and the report of their sweep, which comes before the update.

    `iterations` bounds the expectation-maximisation that initialises a codebook (sec. 4.3),
    `updates` the steps of the codebook update (sec. 4.4), after which centroids become 8-bit
    integers (sec. 4.5). Each further of `sweeps` rounds anew to the codebooks of the one before and
    updates them again; the result is the best of all.
    """
    shape = (W.shape[0], W.shape[1])
    books: dict[int, Tensor] = {}
    found = []
    for _ in range(sweeps):
        tiles = VectorTiles(shape, scheme, iterations, books=books)
        _, report = gptq(
            W, H, quantizer=tiles, width=tiles.format.dim, block=block, damping=damping
        )
        codes, real = tiles.result()
        centroids = round_centroids(update_centroids(W, H, codes, real, scheme, updates))
        error = relative_error(W, look_up_weight(codes, centroids, scheme), H)
        found.append((error, codes, centroids, report))
        # Tiles count along a row of tiles first, books by their column.
        columns = centroids.real().view(-1, len(tiles.books), *real.shape[1:])
        books = dict(enumerate(columns.unbind(1)))
    _, codes, centroids, report = min(found, key=lambda result: result[0])
    return codes, centroids, report


def update_centroids(
    W: Float[Tensor, "out in"],
    H: Float[Tensor, "in in"],
    codes: UInt8[Tensor, "out vectors"],
    real: Float[Tensor, "tiles entries dim"],
    scheme: TensorScheme,
    steps: int,
) -> Float[Tensor, "tiles entries dim"]:
    """Centroids nearer to the minimum of tr((W - W^) H (W - W^)^T) under fixed codes.

    The loss is quadratic in the centroids. The paper descends with Adam; conjugate gradients need
    no learning rate and reach further in as many products with H.
    """
    index = tiles_of((W.shape[0], W.shape[1]), scheme, W.device) * real.shape[1] + codes.long()

    def spread(values: Tensor) -> Tensor:
        return values.reshape(-1, values.shape[-1])[index].view(W.shape)

    def collect(matrix: Tensor) -> Tensor:
        rows = matrix.reshape(-1, real.shape[-1])
        return (
            real.new_zeros(real.shape)
            .view(-1, real.shape[-1])
            .index_add_(0, index.flatten(), rows)
            .view(real.shape)
        )

    right = collect((W.to(H.dtype) - spread(real)) @ H)
    return real + conjugate_gradients(lambda c: collect(spread(c) @ H), right, steps)


def conjugate_gradients(product: Callable[[Tensor], Tensor], right: Tensor, steps: int) -> Tensor:
    """An x with A x = `right` for the symmetric positive semidefinite A of `product`, from zero."""
    x, residual = torch.zeros_like(right), right.clone()
    direction, size = residual.clone(), residual.square().sum()
    start = size
    for _ in range(steps):
        if size <= 1e-12 * start:
            break
        moved = product(direction)
        length = size / (direction * moved).sum()
        x = x + length * direction
        residual = residual - length * moved
        before, size = size, residual.square().sum()
        direction = residual + size / before * direction
    return x
