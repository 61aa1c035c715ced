"""The mathematics of the papers, as pure functions of tensors."""

from bitscape.algorithms.columns import FittedGroups, FixedGrids
from bitscape.algorithms.gptq import ColumnQuantizer, GPTQReport, gptq, relative_error
from bitscape.algorithms.gptvq import VectorTiles, gptvq, update_centroids

__all__ = [
    "ColumnQuantizer",
    "FittedGroups",
    "FixedGrids",
    "GPTQReport",
    "VectorTiles",
    "gptq",
    "gptvq",
    "relative_error",
    "update_centroids",
]
