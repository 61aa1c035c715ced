"""A fitted law of one setting: the curve, and how uncertain it is.

    Q(B) = c + a B^-alpha,   B in 1e9 bits; c = 0 unless the form has a floor

Every form reduces to this curve for a single setting, with the covariance of (log a, alpha, c).
Intervals are Student's t on the residuals of the per-size means. With the few sizes of a scaling
study a bootstrap of residuals covers far less than it claims, and t covers what it should.
"""

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import stdtrit

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

Form = Literal["power", "power-floor", "bivariate", "effective"]
FORMS: tuple[Form, ...] = get_args(Form)
CONFIDENCE = 0.95

Interval = tuple[float | None, float | None]
"""Lower and upper end; None where the data leave that side open."""

_SEARCH = 12.0
_LARGEST = 700.0
"""Exponents beyond this overflow."""


class Estimate(NamedTuple):
    """A fitted number with its standard error."""

    value: float
    error: float

    def ends(self, t: float) -> tuple[float, float]:
        """The interval of `t` standard errors to both sides."""
        return self.value - t * self.error, self.value + t * self.error


class Law(NamedTuple):
    """One form fitted to one setting, alone or together with the settings that share parameters.

    `sigma` is the residual deviation of log Q, `dof` its degrees of freedom, `r2` the share of the
    variance of log Q over this setting's own sizes. `beta` is the second exponent of the bivariate
    form. `log_share` is log g of the effective form, g the parameters of full precision that one
    parameter of this setting is worth; None without a full precision in the fit.
    """

    form: Form
    log_a: float
    alpha: float
    floor: float
    covariance: Matrix
    sigma: float
    dof: int
    r2: float
    beta: Estimate | None = None
    log_share: Estimate | None = None

    def quality(self, bits: Vector | float) -> Vector:
        """Q at `bits`."""
        return np.asarray(self.floor + self._falling(bits), dtype=np.float64)

    def bits_at(self, quality: float) -> float | None:
        """The bits at which Q falls to `quality`; None if it never does."""
        if self.alpha <= 0 or quality <= self.floor:
            return None
        log_bits = (self.log_a - np.log(quality - self.floor)) / self.alpha
        return float(np.exp(log_bits)) if log_bits < 100 else None

    def deviation(self, bits: Vector | float, *, new_model: bool = False) -> Vector:
        """Standard error of log Q at `bits`: of the law, or of one more model that follows it."""
        gradient = self.gradient(bits)
        variance = np.einsum("...i,ij,...j->...", gradient, self.covariance, gradient)
        own = self.sigma**2 if new_model else 0.0
        return np.asarray(np.sqrt(np.maximum(variance, 0) + own), dtype=np.float64)

    def gradient(self, bits: Vector | float) -> Matrix:
        """Derivatives of log Q at `bits` by (log a, alpha, c), along the last axis."""
        steep = self._falling(bits)
        share = steep / (self.floor + steep)
        slopes = [share, -share * np.log(bits), 1 / (self.floor + steep)]
        return np.asarray(np.stack(slopes, axis=-1), dtype=np.float64)

    def _falling(self, bits: Vector | float) -> Vector:
        """a B^-alpha, kept finite far outside the sizes."""
        exponent = self.log_a - self.alpha * np.log(bits)
        return np.asarray(np.exp(np.clip(exponent, -_LARGEST, _LARGEST)), dtype=np.float64)

    @property
    def t(self) -> float:
        """Student's quantile of the two-sided interval."""
        return float(stdtrit(self.dof, (1 + CONFIDENCE) / 2))

    def alpha_ci(self) -> tuple[float, float]:
        """The interval of the exponent."""
        return Estimate(self.alpha, float(np.sqrt(self.covariance[1, 1]))).ends(self.t)

    def share_ci(self) -> Interval | None:
        """The interval of g by the delta method; open where the exponent may be none."""
        if self.log_share is None:
            return None
        if self.alpha_ci()[0] <= 0:
            return None, None
        low, high = np.clip(self.log_share.ends(self.t), -_LARGEST, _LARGEST)
        return float(np.exp(low)), float(np.exp(high))

    def quality_ci(self, bits: float, *, new_model: bool = False) -> tuple[float, float]:
        """The interval of Q at `bits`: of the law, or of one more model that follows it."""
        center = float(np.log(self.quality(bits)))
        half = self.t * float(self.deviation(bits, new_model=new_model))
        return float(np.exp(max(center - half, -_LARGEST))), float(
            np.exp(min(center + half, _LARGEST))
        )

    def bits_at_ci(self, quality: float) -> Interval | None:
        """All bits around `bits_at` where the interval of Q holds `quality` (Fieller's interval).

        An end is None where the law does not exclude however few, or however many, bits.
        """
        center = self.bits_at(quality)
        if center is None:
            return None
        middle = float(np.log(center))
        return self._end(quality, middle, -_SEARCH), self._end(quality, middle, _SEARCH)

    def _end(self, quality: float, middle: float, reach: float) -> float | None:
        grid = middle + np.linspace(0, reach, 61)
        outside = np.flatnonzero(self._excess(grid, quality)[1:] > 0)
        if not len(outside):
            return None
        low, high = grid[outside[0]], grid[outside[0] + 1]
        if self._excess(low, quality) > 0:
            return float(np.exp(low))
        return float(np.exp(brentq(self._excess, low, high, args=(quality,))))

    def _excess(self, log_bits: Vector | float, quality: float) -> Vector:
        """By how much log Q misses `quality`, beyond its interval; negative inside."""
        bits = np.exp(log_bits)
        distance = np.abs(np.log(self.quality(bits)) - np.log(quality))
        return np.asarray(distance - self.t * self.deviation(bits), dtype=np.float64)
