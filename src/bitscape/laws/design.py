"""The forms that are linear in their parameters, as matrices over measurements in logarithms."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bitscape.laws.law import Form
from bitscape.laws.settings import Axis, Setting
from bitscape.laws.table import FULL_BITS, Number

Matrix = NDArray[np.float64]


def precision(setting: Setting, axis: Axis) -> Number:
    """b of the bivariate form."""
    weight = min(setting.w_bits, FULL_BITS)
    return weight if axis == "model-bits" else weight * min(setting.a_bits, FULL_BITS)


def per_parameter(setting: Setting) -> float:
    """Bits on the axis for each parameter; scales and 16-bit leftovers make it vary a little."""
    return float(np.exp(np.log(setting.bits / setting.parameters).mean()))


def power_design(setting: Setting) -> Matrix:
    """Columns of (log a, alpha)."""
    x = np.log(setting.bits)
    return np.stack([np.ones_like(x), -x], axis=1)


def bivariate_design(settings: Sequence[Setting], axis: Axis) -> Matrix:
    """Columns of (log a, alpha, beta), the rows of one setting after another."""
    sizes = np.log(np.concatenate([setting.parameters for setting in settings]))
    counts = [len(setting.points) for setting in settings]
    b = np.repeat([float(precision(setting, axis)) for setting in settings], counts)
    return np.stack([np.ones_like(sizes), -sizes, -np.log(b)], axis=1)


def effective_design(settings: Sequence[Setting]) -> Matrix:
    """Columns of log a - alpha log g of each setting, and of the alpha that they share."""
    sizes = np.log(np.concatenate([setting.parameters for setting in settings]))
    counts = [len(setting.points) for setting in settings]
    own = np.repeat(np.eye(len(settings)), counts, axis=0)
    return np.concatenate([own, -sizes[:, None]], axis=1)


def linear_design(form: Form, settings: Sequence[Setting], axis: Axis) -> Matrix:
    """The design of a form that is linear in its parameters."""
    if form == "bivariate":
        return bivariate_design(settings, axis)
    return effective_design(settings) if form == "effective" else power_design(settings[0])


def reading_of_first(form: Form, settings: Sequence[Setting], axis: Axis) -> Matrix:
    """What takes the parameters of a linear form to the first setting's (log a, alpha)."""
    if form == "effective":
        return effective_reading(settings)
    if form == "power":
        return np.eye(2)
    scale = np.log(per_parameter(settings[0]))
    return np.array([[1.0, scale, -np.log(precision(settings[0], axis))], [0.0, 1.0, 0.0]])


def effective_reading(settings: Sequence[Setting]) -> Matrix:
    """What takes the parameters of the effective form to the first setting's (log a, alpha)."""
    count = len(settings)
    first = np.zeros((2, count + 1))
    first[0, 0] = first[1, count] = 1
    first[0, count] = np.log(per_parameter(settings[0]))
    return first
