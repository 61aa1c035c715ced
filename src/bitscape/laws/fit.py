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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import leastsq
from scipy.special import expit

from bitscape.laws.design import (
    bivariate_design,
    effective_design,
    effective_reading,
    linear_design,
    power_design,
    precision,
    reading_of_first,
)
from bitscape.laws.law import Estimate, Form, Law
from bitscape.laws.settings import Axis, Point, Setting

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_STARTS = (0.3, 0.8)


def fit_power(setting: Setting) -> Law | None:
    """The power law of one setting; None with fewer than three sizes."""
    found = None if len(setting.points) < 3 else _solved([setting], power_design(setting))
    return None if found is None else _read("power", found, np.eye(2), setting)


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


def fit_bivariate(settings: Sequence[Setting], axis: Axis) -> Law | None:
    """One law for `settings` over sizes and precisions, as it reads for the first of them.

    None with fewer than two precisions or without a degree of freedom.
    """
    if len({precision(setting, axis) for setting in settings}) < 2:
        return None
    found = _solved(settings, bivariate_design(settings, axis))
    if found is None:
        return None
    law = _read("bivariate", found, reading_of_first("bivariate", settings, axis), settings[0])
    error = float(np.sqrt(found.covariance[2, 2]))
    return law._replace(beta=Estimate(float(found.theta[2]), error))


def fit_effective(settings: Sequence[Setting]) -> Law | None:
    """One exponent for all `settings`, one effective-parameter share each; read for the first.

    None for a single setting or without a degree of freedom.
    """
    found = None if len(settings) < 2 else _solved(settings, effective_design(settings))
    if found is None:
        return None
    law = _read("effective", found, effective_reading(settings), settings[0])
    return law._replace(log_share=_log_share(settings, found))


def left_out(form: Form, settings: Sequence[Setting], axis: Axis) -> Vector:
    """log Q of each size of the first setting, minus its prediction by a fit without that size.

    One fit tells all: with H the hat matrix and e the residuals, the errors of the rows r that are
    left out together are (I - H_rr)^-1 e_r. The floor, which is not linear, is fitted again.
    """
    first = settings[0]
    if form == "power-floor":
        return np.array([_missed(first, point) for point in first.points])
    design = linear_design(form, settings, axis)
    used = [first] if form == "power" else settings
    y = _log_quality(used)
    sizes = np.concatenate([setting.parameters for setting in used])
    hat = design @ np.linalg.pinv(design)
    residuals = y - hat @ y
    errors = []
    for size in first.parameters:
        rows = np.flatnonzero(sizes == size)
        rest = np.eye(len(rows)) - hat[np.ix_(rows, rows)]
        # The first setting's own row comes first.
        errors.append(np.linalg.solve(rest, residuals[rows])[0])
    return np.array(errors)


def moves(form: Form, settings: Sequence[Setting], axis: Axis, law: Law) -> dict[int, Vector]:
    """By parameters of a size, how a deviation of its residuals moves (log a, alpha, c) of `law`.

    `law` is the fit of `form` to `settings` as it reads for the first. The residuals of a size in
    all settings deviate together, by one standard deviation, and the fit is done again:

        move = R D^+ e_size (N / dof)^0.5

    with D the design over all N residuals e and R what takes its parameters to those of the first.
    """
    first = settings[0]
    if form == "power-floor":
        # The floor is not linear: the fit moves along its tangent. At no floor it is a power law.
        design = law.gradient(first.bits)[:, : 3 if law.floor else 2]
        fit, reading, used = np.log(law.quality(first.bits)), np.eye(design.shape[1]), [first]
    else:
        design, reading = (
            linear_design(form, settings, axis),
            reading_of_first(form, settings, axis),
        )
        used = [first] if form == "power" else list(settings)
        fit = _fitted(design, used)
    residuals = _log_quality(used) - fit
    solve = reading @ np.linalg.pinv(design) * (len(residuals) / max(law.dof, 1)) ** 0.5
    sizes = np.array([point.parameters for setting in used for point in setting.points])
    found = {}
    for size in dict.fromkeys(sizes.tolist()):
        move = np.zeros(3)
        move[: len(solve)] = (solve * residuals)[:, sizes == size].sum(axis=1)
        found[size] = move
    return found


def _missed(setting: Setting, point: Point) -> float:
    law = fit_floor(setting.without(point.parameters))
    predicted = np.nan if law is None else float(np.log(law.quality(point.bits)))
    return float(np.log(point.quality)) - predicted


class _Solved(NamedTuple):
    theta: Vector
    covariance: Matrix
    sigma: float
    dof: int


def _log_share(settings: Sequence[Setting], found: _Solved) -> Estimate | None:
    """log g of the first setting: log (a_full / a_first) over alpha, by the delta method."""
    full = next((at for at, one in enumerate(settings) if one.full_precision), None)
    alpha = float(found.theta[-1])
    if full is None or alpha <= 0:
        return None
    gap = np.zeros(len(found.theta))
    gap[full] += 1
    gap[0] -= 1
    value = float(gap @ found.theta) / alpha
    gap[-1] = -value
    error = float(np.sqrt(gap @ found.covariance @ gap)) / alpha
    return Estimate(value, error)


def _log_quality(settings: Sequence[Setting]) -> Vector:
    return np.asarray(np.log(np.concatenate([setting.quality for setting in settings])))


def _solved(settings: Sequence[Setting], design: Matrix) -> _Solved | None:
    """One fit of all settings; None without a degree of freedom."""
    y = _log_quality(settings)
    dof = len(y) - design.shape[1]
    if dof < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    inverse = np.asarray(np.linalg.inv(design.T @ design), dtype=np.float64)
    theta = inverse @ (design.T @ y)
    sigma2 = float(np.square(y - design @ theta).sum()) / dof
    return _Solved(theta, inverse * sigma2, float(sigma2**0.5), dof)


def _fitted(design: Matrix, settings: Sequence[Setting]) -> Vector:
    return np.asarray(design @ (np.linalg.pinv(design) @ _log_quality(settings)))


def _read(form: Form, found: _Solved, first: Matrix, setting: Setting) -> Law:
    """The law of one setting; `first` takes the parameters to its (log a, alpha)."""
    covariance = first @ found.covariance @ first.T
    return _law(form, first @ found.theta, covariance, found.sigma, found.dof, setting)


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


class _Floored(NamedTuple):
    """(log a, alpha, log c), half the sum of squares, and the Jacobian there."""

    x: Vector
    cost: float
    jac: Matrix


def _floored(x: Vector, y: Vector, floor: float) -> _Floored:
    """Levenberg-Marquardt over (log a, alpha, log c) from the line through log(Q - floor)."""
    slope, intercept = np.polyfit(x, np.log(np.exp(y) - floor), 1)
    start = np.array([intercept, -slope, np.log(floor)])
    # Not `least_squares`, which runs the same MINPACK routine and takes nearly twice as long.
    theta, _, info, _, _ = leastsq(
        _misses,
        start,
        args=(x, y),
        Dfun=_slopes,
        full_output=True,
        ftol=1e-8,
        xtol=1e-8,
        gtol=1e-8,
        maxfev=200,
        diag=np.ones(3),
    )
    return _Floored(theta, float(np.square(info["fvec"]).sum()) / 2, _slopes(theta, x, y))


def _misses(theta: Vector, x: Vector, y: Vector) -> Vector:
    """log(c + a B^-alpha) - log Q."""
    return np.asarray(np.logaddexp(theta[0] - theta[1] * x, theta[2]) - y, dtype=np.float64)


def _slopes(theta: Vector, x: Vector, y: Vector) -> Matrix:
    """The Jacobian of `_misses`."""
    share = expit(theta[0] - theta[1] * x - theta[2])
    slopes = np.empty((len(x), 3))
    slopes[:, 0], slopes[:, 1], slopes[:, 2] = share, -x * share, 1 - share
    return slopes
