"""PTQ4ARVG: closed-form scales, a static range for each token group, chosen calibration samples.

Liu et al., "PTQ4ARVG: Post-Training Quantization for AutoRegressive Visual Generation Models",
arXiv:2601.21238.

    SmoothQuant with alpha 0.5, then a shift (code)      passes.FaithfulGain
    s_i = (B_i / A_i)^(1/4), gain of eq. 15 (GPS)        algorithms.gps_gain_factors, error_shares
    scale and shift into AdaLN or the norm (sec. 4.1)    Fold.push
    one static range a token group (STWQ, sec. 4.2)      Site.runs, passes.QuantizeActivations
    percentiles of least squared error (code)            quantizers.ranges, "percentiles"
    Mahalanobis distance rho (DGC, sec. 4.3)             algorithms.mahalanobis, SelectCalibration

`ptq4arvg-faithful` does what the public code does: gains against the range of the widest channel,
unclamped and always taken, behind norms only. `ptq4arvg` measures the shares with the rounding that
each token group really gets, sums them over all consumers of a fold, clamps the gains to where
their derivation holds, tries several starts and dampings and keeps what lowers the true output
error; it scales values before the projection too, selects samples that resemble the whole and
rounds weights by GPTQ. The report holds the predicted and the measured error of each fold.

Deviations. Those of `ptq4arvg-faithful`: degenerate channels get t = 1 in the gauge of the others,
not s = 1. A producer that takes no shift, such as RMSNorm, gets none. Ranges are pooled over all
calibration calls and their zero points are integers, where the code blends two batches into
fractional ones. Everything is calibrated on the family's own masked calls, and anew after folding;
the code calibrates VAR without its mask. The code's selection keeps the first samples, since with
fewer samples than channels all distances are equal: here the covariance is shrunk, so that
distances differ, and the largest half is kept. Attention products stay in 16 bits unless the scheme
names them ("W6A6,static/attend=W16A8,static"), with a range for each head, probabilities on a grid
of their own (`probabilities`) and, as an option, the values' rounding halved (`shift_and_sum`); the
code has one range for each operand.

Cost. Two sweeps over the calibration calls; `ptq4arvg` some twenty roundings of each layer besides,
and GPTQ. At run time nothing: scales and shifts are folded, a range is looked up by position.

Use. Where activations are rounded to static ranges, which are the fastest to compute with; the
faithful form only to compare with the paper.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from bitscape.methods.base import Method
from bitscape.methods.schemes import STATIC
from bitscape.passes import (
    BEHIND_NORMS,
    FaithfulGain,
    Gain,
    Greedy,
    Index,
    Nearest,
    Pass,
    QuantizeActivations,
    QuantizeWeights,
    SelectCalibration,
    TransformInputs,
)
from bitscape.quantizers import Probabilities


@dataclass(frozen=True)
class PTQ4ARVG(Method):
    """Gain-projected scaling by true output error, token-wise static ranges, herded samples."""

    summary: ClassVar[str] = (
        "Closed-form scales and a static range for each token group, for visual autoregression."
    )
    schemes: ClassVar[tuple[str, ...]] = STATIC

    select: float = 0.5
    rounding: Literal["gptq", "rtn"] = "gptq"
    activation_range: str = "search"
    activation_index: Index = "run"
    probabilities: Probabilities | None = None
    shift_and_sum: bool = False

    def __post_init__(self) -> None:
        check_share(self.select)

    def passes(self) -> list[Pass]:
        """Selection, scales, weights, then activations."""
        activations = QuantizeActivations(
            self.activation_range, self.activation_index, self.probabilities, self.shift_and_sum
        )
        rounder = Nearest("mse") if self.rounding == "rtn" else Greedy()
        return [
            SelectCalibration("kernel", self.select),
            TransformInputs((Gain(),), activations),
            QuantizeWeights(rounder),
            activations,
        ]


@dataclass(frozen=True)
class FaithfulPTQ4ARVG(Method):
    """PTQ4ARVG as the public code does it, less its mistakes in calibration."""

    summary: ClassVar[str] = (
        "PTQ4ARVG as its public code has it, to compare with the paper: ptq4arvg is better."
    )
    schemes: ClassVar[tuple[str, ...]] = STATIC

    select: float = 0.5

    def __post_init__(self) -> None:
        check_share(self.select)

    def passes(self) -> list[Pass]:
        """Selection, scales, weights, then activations."""
        activations = QuantizeActivations("percentiles", "run")
        scaling = TransformInputs(
            (FaithfulGain(),),
            activations,
            accept="first",
            roles=BEHIND_NORMS,
            sequential=False,
            look="percentiles",
        )
        selection = SelectCalibration("distance", self.select)
        return [selection, scaling, QuantizeWeights(Nearest()), activations]


def check_share(select: float) -> None:
    """ValueError unless `select` is a share of the samples."""
    if not 0.0 < select <= 1.0:
        raise ValueError(f"a share in (0, 1] of the samples is kept, got {select}")
