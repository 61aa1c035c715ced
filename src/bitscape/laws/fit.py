"""Fitting the forms by least squares on log Q.

    power        log Q = log a - alpha log B                    one setting
    power-floor  log Q = log(c + a B^-alpha)                    one setting
    bivariate    log Q = log a - alpha log N - beta log b       settings that share a, alpha, beta
    effective    log Q = log a - alpha log(N g_s)               settings that share alpha

N counts parameters in 1e9, b is the precision on the axis (b_w, or b_w b_a for compute bits), and
g_s is the share of parameters that a setting is worth, one free number each. The shared forms are
those of "Dissecting Bit-Level Scaling Laws in Quantizing Vision Generative Models",
arXiv:2501.06218, where the lines of one method at several precisions are nearly parallel.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares
from scipy.special import expit

from bitscape.laws.law import Form, Law
from bitscape.laws.settings import Axis, Setting
from bitscape.laws.table import FULL_BITS, Number

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_STARTS = (0.3, 0.8)


def fit_power(setting: Setting) -> Law | None:
    """The power law of one setting; None with fewer than three sizes."""
    x, y = np.log(setting.bits), np.log(setting.quality)
    if len(x) < 3:
        return None
    design = np.stack([np.ones_like(x), -x], axis=1)
    theta, covariance, sigma = _least_squares(design, y)
    return _law("power", theta, covariance, sigma, len(x) - 2, setting)


def fit_floor(setting: Setting) -> Law | None:
    """The power law over a floor of one setting; None with fewer than four sizes.

    Where no floor above zero fits better, the law is the power law with one degree of freedom less.
    """
    x, y = np.log(setting.bits), np.log(setting.quality)
    power = fit_power(setting)
    if len(x) < 4 or power is None:
        return None
    lowest = float(setting.quality.min())
    fits = [_floored(x, y, share * lowest) for share in _STARTS]
    best = min(fits, key=lambda fit: fit.cost)
    log_a, alpha, log_floor = best.x
    floor = float(np.exp(log_floor))
    dof = len(x) - 3
    residual = float(np.square(y - np.log(power.quality(setting.bits))).sum())
    if 2 * best.cost >= residual * (1 - 1e-9) or floor < 1e-3 * lowest or alpha <= 0:
        scale = (len(x) - 2) / dof
        theta = np.array([power.log_a, power.alpha])
        covariance = power.covariance[:2, :2] * scale
        return _law("power-floor", theta, covariance, power.sigma * scale**0.5, dof, setting)
    sigma2 = 2 * best.cost / dof
    chain = np.diag([1.0, 1.0, floor])
    covariance = chain @ np.linalg.pinv(best.jac.T @ best.jac) @ chain * sigma2
    theta = np.array([log_a, alpha, floor])
    return _law("power-floor", theta, covariance, float(sigma2**0.5), dof, setting)


def fit_bivariate(settings: Sequence[Setting], axis: Axis) -> list[Law] | None:
    """One law for `settings` over sizes and precisions, given for each of them.

    None with fewer than two precisions or without a degree of freedom.
    """
    b = [precision(setting, axis) for setting in settings]
    if len(set(b)) < 2:
        return None
    blocks = [
        np.stack([one, -np.log(setting.parameters), -np.log(value) * one], axis=1)
        for setting, value in zip(settings, b, strict=True)
        for one in [np.ones_like(setting.parameters)]
    ]
    maps = [
        np.array([[1.0, np.log(per_parameter(setting)), -np.log(value)], [0.0, 1.0, 0.0]])
        for setting, value in zip(settings, b, strict=True)
    ]
    return _shared("bivariate", settings, np.concatenate(blocks), maps)


def fit_effective(settings: Sequence[Setting]) -> list[Law] | None:
    """One exponent for all `settings`, one effective-parameter share each.

    None for a single setting or without a degree of freedom.
    """
    if len(settings) < 2:
        return None
    count = len(settings)
    blocks, maps = [], []
    for index, setting in enumerate(settings):
        block = np.zeros((len(setting.points), count + 1))
        block[:, index] = 1
        block[:, count] = -np.log(setting.parameters)
        blocks.append(block)
        reduce = np.zeros((2, count + 1))
        reduce[0, index] = reduce[1, count] = 1
        reduce[0, count] = np.log(per_parameter(setting))
        maps.append(reduce)
    return _shared("effective", settings, np.concatenate(blocks), maps)


def precision(setting: Setting, axis: Axis) -> Number:
    """b of the bivariate form."""
    weight = min(setting.w_bits, FULL_BITS)
    return weight if axis == "model-bits" else weight * min(setting.a_bits, FULL_BITS)


def per_parameter(setting: Setting) -> float:
    """Bits on the axis for each parameter; scales and 16-bit leftovers make it vary a little."""
    return float(np.exp(np.log(setting.bits / setting.parameters).mean()))


def _shared(
    form: Form, settings: Sequence[Setting], design: Matrix, maps: Sequence[Matrix]
) -> list[Law] | None:
    """One fit of all settings; each of `maps` takes the result to a setting's (log a, alpha)."""
    y = np.log(np.concatenate([setting.quality for setting in settings]))
    dof = len(y) - design.shape[1]
    if dof < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    theta, covariance, sigma = _least_squares(design, y)
    return [
        _law(form, reduce @ theta, reduce @ covariance @ reduce.T, sigma, dof, setting)
        for setting, reduce in zip(settings, maps, strict=True)
    ]


def _least_squares(design: Matrix, y: Vector) -> tuple[Vector, Matrix, float]:
    """Estimate, its covariance, and the residual deviation."""
    inverse = np.asarray(np.linalg.inv(design.T @ design), dtype=np.float64)
    theta = inverse @ (design.T @ y)
    dof = len(y) - design.shape[1]
    sigma2 = float(np.square(y - design @ theta).sum()) / dof
    return theta, inverse * sigma2, float(sigma2**0.5)


def _law(
    form: Form, theta: Vector, covariance: Matrix, sigma: float, dof: int, setting: Setting
) -> Law:
    full = np.zeros((3, 3))
    full[: len(theta), : len(theta)] = covariance
    floor = float(theta[2]) if len(theta) == 3 else 0.0
    law = Law(form, float(theta[0]), float(theta[1]), floor, full, sigma, dof, 0.0)
    y = np.log(setting.quality)
    spread = float(np.square(y - y.mean()).sum())
    residual = float(np.square(y - np.log(law.quality(setting.bits))).sum())
    r2 = 1 - residual / spread if spread > 0 else 0.0
    return law._replace(r2=r2)


def _floored(x: Vector, y: Vector, floor: float) -> OptimizeResult:
    """Levenberg-Marquardt over (log a, alpha, log c) from the line through log(Q - floor)."""
    slope, intercept = np.polyfit(x, np.log(np.exp(y) - floor), 1)
    start = np.array([intercept, -slope, np.log(floor)])
    return least_squares(_misses, start, jac=_slopes, method="lm", max_nfev=200, args=(x, y))


def _misses(theta: Vector, x: Vector, y: Vector) -> Vector:
    """log(c + a B^-alpha) - log Q."""
    return np.asarray(np.logaddexp(theta[0] - theta[1] * x, theta[2]) - y, dtype=np.float64)


def _slopes(theta: Vector, x: Vector, y: Vector) -> Matrix:
    """The Jacobian of `_misses`."""
    share = expit(theta[0] - theta[1] * x - theta[2])
    return np.stack([share, -x * share, 1 - share], axis=1)
