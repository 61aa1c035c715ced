"""The mathematics of the papers, as pure functions of tensors."""

from bitscape.algorithms.columns import FittedGroups, FixedGrids
from bitscape.algorithms.gptq import ColumnQuantizer, GPTQReport, gptq, relative_error

__all__ = [
    "ColumnQuantizer",
    "FittedGroups",
    "FixedGrids",
    "GPTQReport",
    "gptq",
    "relative_error",
]
