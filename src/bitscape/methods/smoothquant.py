"""SmoothQuant: moves the outliers of activations into the weights, which round more easily.

Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language
Models", arXiv:2211.10438.

    s_j = max|X_j|^alpha / max|W_j|^(1 - alpha) (eq. 4)   algorithms.smoothquant_scale
    Y = (X diag(s)^-1) (diag(s) W) (eq. 3)                nn.QuantLinear.affine
    one s for all layers behind one norm (sec. 4)         structure.Fold, passes.TransformInputs
    diag(s)^-1 into the norm before (sec. 4)              Fold.push; prologue where it takes nothing

Deviations. AdaLN takes the scale over through its modulation rows, which the paper does not meet;
scales are divided by their geometric mean, which no quantizer notices. `alpha` None searches it on
a grid by the layer's output error at the real bits, and smooths only where that helps; the paper
tunes one alpha a model.

Cost. One sweep over the calibration calls; with a search, a rounding of each layer for every alpha
on the grid of 21. Nothing at run time where producers absorb the scale.

Use. At 8 bits on models with outlier channels; below, as the start of other methods.
"""

from dataclasses import dataclass
from typing import ClassVar

from bitscape.methods.base import Method
from bitscape.methods.schemes import INPUTS
from bitscape.passes import (
    BEHIND_NORMS,
    GRID,
    Index,
    Nearest,
    Pass,
    QuantizeActivations,
    QuantizeWeights,
    Smooth,
    TransformInputs,
)


@dataclass(frozen=True)
class SmoothQuant(Method):
    """Smoothing behind norms, then round to nearest."""

    summary: ClassVar[str] = (
        "Outliers of activations move into the weights: the baseline wherever inputs are rounded."
    )
    schemes: ClassVar[tuple[str, ...]] = INPUTS

    alpha: float | None = 0.5
    roles: tuple[str, ...] = BEHIND_NORMS
    range: str = "minmax"
    activation_range: str = "minmax"
    activation_index: Index = "none"

    def passes(self) -> list[Pass]:
        """Scales, weights, then activations."""
        activations = QuantizeActivations(self.activation_range, self.activation_index)
        smoothing = TransformInputs(
            (Smooth(GRID if self.alpha is None else (self.alpha,)),),
            activations,
            accept="best" if self.alpha is None else "first",
            roles=tuple(self.roles),
            sequential=self.alpha is None,
        )
        return [smoothing, QuantizeWeights(Nearest(self.range)), activations]
