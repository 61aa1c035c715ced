"""The activation quantizer: dynamic per token, static, or a table indexed by step."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from bitscape.formats import TensorScheme
from bitscape.nn.coded import keep_dtype
from bitscape.quantizers import (
    Grid,
    fake_quantize,
    fake_quantize_dynamic,
    rows_of,
    step_grid,
)
from bitscape.structure import StepClock


class ActivationQuantizer(nn.Module):
    """Rounds activations, channels last, to the grid of the current step.

    A static quantizer is a table with rows for groups of positions and a column for each split of
    the input channels; one row is a plain static range and needs no clock. `row_of[position]`
    names the row. The table is filled by `set_table`.
    """

    table_scale: Tensor | None
    table_zero: Tensor | None
    row_of: Tensor | None

    def __init__(
        self,
        scheme: TensorScheme,
        clock: StepClock,
        *,
        tokens: bool = True,
        splits: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.scheme = scheme
        self.clock = clock
        self.tokens = tokens
        self.splits = tuple(splits)
        self.register_buffer("table_scale", None)
        self.register_buffer("table_zero", None)
        self.register_buffer("row_of", None)

    def set_table(
        self,
        scale: Float[Tensor, "rows splits"],
        zero: Float[Tensor, "rows splits"] | None = None,
        row_of: Int64[Tensor, " steps"] | None = None,
    ) -> None:
        """Make these the static ranges; `row_of` is needed once there is more than one row."""
        if self.scheme.dynamic:
            raise ValueError("a dynamic activation scheme has no table: parse it with ',static'")
        columns = max(1, len(self.splits))
        if scale.shape[1] != columns:
            raise ValueError(f"the table has {scale.shape[1]} columns for {columns} splits")
        if row_of is None and len(scale) > 1:
            raise ValueError(f"a table of {len(scale)} rows needs `row_of`, one row a position")
        if row_of is not None and not 0 <= int(row_of.min()) <= int(row_of.max()) < len(scale):
            raise ValueError(f"`row_of` names a row outside 0 to {len(scale) - 1}")
        self.table_scale = scale.float()
        self.table_zero = None if zero is None else zero.float()
        self.row_of = row_of

    def rows(self) -> Int64[Tensor, "batch token"]:
        """The table row of each (sample, token) at the clock's position; broadcasts."""
        scale = self._scale()
        if len(scale) == 1 or self.row_of is None:
            return torch.zeros(1, 1, dtype=torch.int64, device=scale.device)
        rows = rows_of(self.clock.read(), self.row_of)
        if self.tokens or rows.shape[1] == 1:
            return rows
        if bool((rows != rows[:, :1]).any()):
            raise ValueError("an input without tokens cannot use a table row for each token")
        return rows[:, :1]

    def grid(self, u: Float[Tensor, "*batch channel"]) -> Grid:
        """The static grid for `u` at the clock's position, with as many axes as `u`."""
        return self.grid_in(u, self._scale(), self.table_zero)

    def grid_in(
        self,
        u: Float[Tensor, "*batch channel"],
        scale: Float[Tensor, "rows splits"],
        zero: Float[Tensor, "rows splits"] | None,
    ) -> Grid:
        """The same with another table of the same size in place of its own."""
        rows = self.rows()
        if rows.numel() == 1:
            shape = (1,) * (u.ndim - 1)
        elif u.ndim == 2 + self.tokens:
            shape = tuple(rows.shape) if self.tokens else (len(rows),)
        else:
            raise ValueError(
                f"a range for each position needs an input with{'' if self.tokens else 'out'} "
                f"a token axis, as the site declares, got {tuple(u.shape)}"
            )
        grid = step_grid(scale, zero, rows, self.splits)
        zeros = None if grid.zero is None else grid.zero.view(*shape, -1)
        return Grid(grid.scale.view(*shape, -1), zeros)

    def forward(self, u: Float[Tensor, "*batch channel"]) -> Float[Tensor, "*batch channel"]:
        """`u` rounded; gradients pass straight through."""
        if self.scheme.dynamic:
            return fake_quantize_dynamic(u, self.scheme)
        return fake_quantize(u, self.grid(u), self.scheme.format)

    def extra_repr(self) -> str:
        """The scheme, and the size of the table."""
        table = "" if self.table_scale is None else f", table {tuple(self.table_scale.shape)}"
        return f"{self.scheme}{table}"

    def _scale(self) -> Tensor:
        if self.table_scale is None:
            raise RuntimeError("the static activation range is not set: calibrate, or `set_table`")
        return self.table_scale

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "ActivationQuantizer":
        super()._apply(keep_dtype(fn), recurse)
        return self
