"""The mathematics of the papers, as pure functions of tensors."""

from bitscape.algorithms.columns import FittedGroups, FixedGrids
from bitscape.algorithms.dilation import balanced_dilation_scale, dilation_scale
from bitscape.algorithms.gps import (
    error_shares,
    gps_gain_factors,
    predicted_error,
    within_validity,
)
from bitscape.algorithms.gptq import ColumnQuantizer, GPTQReport, gptq, relative_error
from bitscape.algorithms.gptvq import VectorTiles, gptvq, update_centroids
from bitscape.algorithms.matching import matched_bias, matched_weight
from bitscape.algorithms.output_error import output_error
from bitscape.algorithms.selection import farthest, herded, mahalanobis, shrunk_covariance
from bitscape.algorithms.smoothing import (
    awq_scale,
    column_maxima,
    smoothquant_scale,
    unit_gauge,
)

__all__ = [
    "ColumnQuantizer",
    "FittedGroups",
    "FixedGrids",
    "GPTQReport",
    "VectorTiles",
    "awq_scale",
    "balanced_dilation_scale",
    "column_maxima",
    "dilation_scale",
    "error_shares",
    "farthest",
    "gps_gain_factors",
    "gptq",
    "gptvq",
    "herded",
    "mahalanobis",
    "matched_bias",
    "matched_weight",
    "output_error",
    "predicted_error",
    "relative_error",
    "shrunk_covariance",
    "smoothquant_scale",
    "unit_gauge",
    "update_centroids",
    "within_validity",
]
