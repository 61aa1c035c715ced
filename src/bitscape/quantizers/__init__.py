"""From tensors to grids and codes: groups, ranges, rounding, gradients, step tables."""

from bitscape.quantizers.activations import dynamic_grid, fake_quantize_dynamic
from bitscape.quantizers.affine import (
    Grid,
    dequantize,
    fake_quantize,
    lsq_quantize,
    quantize,
)
from bitscape.quantizers.codebooks import (
    Centroids,
    look_up_weight,
    round_centroids,
    tiles_of,
)
from bitscape.quantizers.groups import from_groups, group_views, to_groups
from bitscape.quantizers.probabilities import Probabilities, round_probabilities
from bitscape.quantizers.ranges import (
    RANGES,
    RangeRule,
    bounds_grid,
    least_error_of,
    minmax,
    mse,
    percentile,
)
from bitscape.quantizers.scales import decode_scale, encode_scale, round_scale, stored_scale
from bitscape.quantizers.tables import rows_of, step_grid
from bitscape.quantizers.weights import (
    dequantize_weight,
    exact_grid,
    quantize_weight,
    weight_grid,
)

__all__ = [
    "RANGES",
    "Centroids",
    "Grid",
    "Probabilities",
    "RangeRule",
    "bounds_grid",
    "decode_scale",
    "dequantize",
    "dequantize_weight",
    "dynamic_grid",
    "encode_scale",
    "exact_grid",
    "fake_quantize",
    "fake_quantize_dynamic",
    "from_groups",
    "group_views",
    "least_error_of",
    "look_up_weight",
    "lsq_quantize",
    "minmax",
    "mse",
    "percentile",
    "quantize",
    "quantize_weight",
    "round_centroids",
    "round_probabilities",
    "round_scale",
    "rows_of",
    "step_grid",
    "stored_scale",
    "tiles_of",
    "to_groups",
    "weight_grid",
]
