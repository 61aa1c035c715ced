"""Step tables: static grids chosen by the position on the trajectory.

A table has one row for each range of positions and one column for each split of the input; an
integer map sends a position to its row. One table indexed so is static token-wise quantization,
a temporal quantizer and per-time-range scales.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitscape.quantizers.affine import Grid


def rows_of(
    index: Int[Tensor, "batch token"], row_map: Int[Tensor, " steps"]
) -> Int[Tensor, "batch token"]:
    """The table row of each position."""
    return row_map[index]


def step_grid(
    scale: Float[Tensor, "rows splits"],
    zero: Float[Tensor, "rows splits"] | None,
    rows: Int[Tensor, "batch token"],
    splits: tuple[int, ...] = (),
) -> Grid:
    """The grid of each (batch, token), broadcast against (batch, token, channel).

    With one column its scale is (batch, token, 1); with several, `splits` are their widths and the
    scale is (batch, token, channel).
    """
    zeros = None if zero is None else _look_up(zero, rows, splits)
    return Grid(_look_up(scale, rows, splits), zeros)


def _look_up(table: Tensor, rows: Tensor, splits: tuple[int, ...]) -> Tensor:
    found = table[rows]  # (batch, token, splits)
    if table.shape[1] == 1:
        return found
    if len(splits) != table.shape[1]:
        raise ValueError(
            f"a table of {table.shape[1]} columns needs as many split widths, got {splits}"
        )
    return found.repeat_interleave(torch.tensor(splits, device=table.device), dim=-1)
