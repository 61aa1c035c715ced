"""Weights as codes: what is left of a float weight once it has been quantized."""

from collections.abc import Callable

from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from bitscape.formats import TensorScheme
from bitscape.quantizers import Grid, dequantize_weight


class CodedWeight(nn.Module):
    """Codes of a format and the grid that gives them meaning: W = scale (code's value - zero).

    The grid has the grouped shape (out, groups, 1), or (1, 1, 1) for one scale a tensor; `scheme`
    says how the columns fall into groups.
    """

    codes: Tensor
    grid_scale: Tensor
    grid_zero: Tensor | None

    def __init__(self, codes: UInt8[Tensor, "out in"], grid: Grid, scheme: TensorScheme) -> None:
        super().__init__()
        self.scheme = scheme
        # Rounders may hand over a transposed view, and kernels read the storage row by row.
        self.register_buffer("codes", codes.contiguous())
        self.register_buffer("grid_scale", grid.scale.contiguous())
        self.register_buffer("grid_zero", None if grid.zero is None else grid.zero.contiguous())

    @property
    def grid(self) -> Grid:
        """Scale and zero as one value."""
        return Grid(self.grid_scale, self.grid_zero)

    def dequantize(self) -> Float32[Tensor, "out in"]:
        """The real numbers that the codes stand for."""
        return dequantize_weight(self.codes, self.grid, self.scheme)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "CodedWeight":
        super()._apply(keep_dtype(fn), recurse)
        return self


def keep_dtype(move: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """`move` without its change of dtype, for `Module._apply`.

    `network.to(bfloat16)` must not round a grid: codes were chosen for it as it is.
    """

    def moved(tensor: Tensor) -> Tensor:
        if tensor.is_meta or not tensor.is_floating_point():
            return move(tensor)
        return tensor.to(move(tensor.new_empty(0)).device)

    return moved
