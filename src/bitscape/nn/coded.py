"""Weights as codes: what is left of a float weight once it has been quantized."""

from collections.abc import Callable

from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from bitscape.formats import TensorScheme
from bitscape.quantizers import Centroids, Grid, dequantize_weight


class CodedWeight(nn.Module):
    """Codes of a format and the grid that gives them meaning: W = scale (code's value - zero).

    The grid has the grouped shape (out, groups, 1), or (1, 1, 1) for one scale a tensor; `scheme`
    says how the columns fall into groups. Codes of a codebook have `centroids` instead, int8, of
    which `grid_scale` holds the scale of each tile.
    """

    codes: Tensor
    grid_scale: Tensor
    grid_zero: Tensor | None
    centroids: Tensor | None

    def __init__(
        self, codes: UInt8[Tensor, "out codes"], grid: Grid | Centroids, scheme: TensorScheme
    ) -> None:
        super().__init__()
        self.scheme = scheme
        # Rounders may hand over a transposed view, and kernels read the storage row by row.
        self.register_buffer("codes", codes.contiguous())
        self.register_buffer("grid_scale", grid.scale.contiguous())
        zero = grid.zero if isinstance(grid, Grid) else None
        centroids = grid.values if isinstance(grid, Centroids) else None
        self.register_buffer("grid_zero", None if zero is None else zero.contiguous())
        self.register_buffer("centroids", None if centroids is None else centroids.contiguous())

    @property
    def grid(self) -> Grid | Centroids:
        """What gives the codes their meaning, as one value."""
        return grid_of(self.grid_scale, self.grid_zero, self.centroids)

    def dequantize(self) -> Float32[Tensor, "out in"]:
        """The real numbers that the codes stand for."""
        return dequantize_weight(self.codes, self.grid, self.scheme)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "CodedWeight":
        super()._apply(keep_dtype(fn), recurse)
        return self


def grid_of(scale: Tensor, zero: Tensor | None, centroids: Tensor | None) -> Grid | Centroids:
    """Buffers of a coded weight as what they stand for."""
    return Grid(scale, zero) if centroids is None else Centroids(centroids, scale)


def keep_dtype(move: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """`move` without its change of dtype, for `Module._apply`.

    `network.to(bfloat16)` must not round a grid: codes were chosen for it as it is.
    """

    def moved(tensor: Tensor) -> Tensor:
        if tensor.is_meta or not tensor.is_floating_point():
            return move(tensor)
        return tensor.to(move(tensor.new_empty(0)).device)

    return moved
