"""Fitting every form to every setting, and choosing one by leaving out a size at a time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from bitscape.laws.fit import fit_bivariate, fit_effective, fit_floor, fit_power, left_out
from bitscape.laws.law import FORMS, Form, Law
from bitscape.laws.settings import Axis, Ladder, Setting
from bitscape.laws.table import Number

Vector = NDArray[np.float64]
Fits = dict[Form, list[Law] | None]

SIZES = 3
"""A law needs one degree of freedom over its two numbers."""

_FIRST: Form = "power"


class Fitted(NamedTuple):
    """A setting with the forms that could be fitted, their left-out errors and the choice.

    `errors` are root mean squares over sizes of log Q minus its prediction from the other sizes.
    `group` holds the settings that the chosen form was fitted to, this one first.
    """

    setting: Setting
    laws: dict[Form, Law]
    errors: dict[Form, float]
    chosen: Form | None
    group: tuple[Setting, ...]

    @property
    def law(self) -> Law | None:
        """The law in the chosen form."""
        return None if self.chosen is None else self.laws[self.chosen]


class Parallelism(NamedTuple):
    """F-test of one common exponent for all precisions of a method against one each.

    A small `p` rejects parallel lines; it says nothing when the lines are few and noisy.
    """

    ladder: Ladder
    method: str
    a_bits: Number
    labels: tuple[str, ...]
    alpha: float
    alpha_ci: tuple[float, float]
    f: float
    dof: tuple[int, int]
    p: float


def fit_all(settings: Sequence[Setting], axis: Axis) -> list[Fitted]:
    """Every setting with every form; the shared forms run over a method and full precision."""
    return [_fitted(setting, settings, axis) for setting in settings]


def relatives(setting: Setting, settings: Sequence[Setting]) -> list[Setting]:
    """`setting`, the same method at its other precisions, and full precision of the same ladder."""
    same = [
        other
        for other in settings
        if other.ladder == setting.ladder
        and other.method == setting.method
        and len(other.points) >= SIZES
    ]
    distinct = {other.scheme: other for other in reversed(same)} | {setting.scheme: setting}
    reference = full_precision_of(setting, settings)
    kept = list(distinct.values())
    if setting.full_precision or reference is None or any(one is reference for one in kept):
        return kept
    return [*kept, reference]


def full_precision_of(setting: Setting, settings: Sequence[Setting]) -> Setting | None:
    """The full precision that `setting` is compared with: of its own table if that has one."""
    found = [
        one
        for one in settings
        if one.full_precision and one.ladder == setting.ladder and len(one.points) >= SIZES
    ]
    own = [one for one in found if one.table == setting.table]
    return next(iter(own + found), None)


def parallelism(settings: Sequence[Setting]) -> list[Parallelism]:
    """The test for each method and activation width with two weight widths or more.

    Full precision joins where activations keep it.
    """
    found, seen = [], set()
    for setting in settings:
        key = setting.ladder, setting.method, setting.a_bits
        if key in seen or setting.full_precision:
            continue
        seen.add(key)
        group = [one for one in relatives(setting, settings) if one.a_bits == setting.a_bits]
        if sum(not one.full_precision for one in group) < 2:
            continue
        common, free = fit_effective(group), [fit_power(one) for one in group]
        if common is not None:
            found.append(_test(group, common, [law for law in free if law is not None]))
    return found


def _test(group: Sequence[Setting], common: Law, free: Sequence[Law]) -> Parallelism:
    dof_free = sum(law.dof for law in free)
    within = sum(law.sigma**2 * law.dof for law in free)
    extra = common.dof - dof_free
    f = max(common.sigma**2 * common.dof - within, 0.0) / extra / (within / dof_free)
    return Parallelism(
        ladder=group[0].ladder,
        method=group[0].method,
        a_bits=group[0].a_bits,
        labels=tuple(one.label for one in group),
        alpha=common.alpha,
        alpha_ci=common.alpha_ci(),
        f=f,
        dof=(extra, dof_free),
        p=float(fdtrc(extra, dof_free, f)),
    )


def _fitted(setting: Setting, settings: Sequence[Setting], axis: Axis) -> Fitted:
    if len(setting.points) < SIZES:
        return Fitted(setting, {}, {}, None, ())
    family = relatives(setting, settings)
    related = [setting, *(one for one in family if one is not setting)]
    # Model bits do not see activations, so there the form holds at one activation width only.
    alike = [one for one in related if one.a_bits == setting.a_bits or axis == "compute-bits"]
    groups: dict[Form, list[Setting]] = {
        "power": [setting],
        "power-floor": [setting],
        "bivariate": alike,
        "effective": related,
    }
    laws: dict[Form, Law] = {}
    misses: dict[Form, Vector] = {}
    for form in FORMS:
        group = groups[form]
        law = _fit(form, group, axis)
        if law is None:
            continue
        laws[form] = law
        # What is left after a size has gone must still have a degree of freedom.
        if len(setting.points) > (4 if form == "power-floor" else SIZES):
            misses[form] = left_out(form, group, axis)
    errors = {form: float(np.sqrt(np.square(missed).mean())) for form, missed in misses.items()}
    chosen = _choose(laws, misses)
    return Fitted(setting, laws, errors, chosen, tuple(groups[chosen]) if chosen else ())


def _fit(form: Form, group: Sequence[Setting], axis: Axis) -> Law | None:
    if form == "bivariate":
        return fit_bivariate(group, axis)
    if form == "effective":
        return fit_effective(group)
    return fit_power(group[0]) if form == "power" else fit_floor(group[0])


def _choose(laws: dict[Form, Law], misses: dict[Form, Vector]) -> Form | None:
    """The power law, unless another form misses left-out sizes by less.

    Less means that the mean gain in squared error exceeds its standard error over sizes: with four
    sizes the smallest error is often an accident.
    """
    if _FIRST not in misses:
        return _FIRST if _FIRST in laws else None
    baseline = np.square(misses[_FIRST])
    best, gain_of_best = _FIRST, 0.0
    for form, missed in misses.items():
        gain = baseline - np.square(missed)
        error = gain.std(ddof=1) / len(gain) ** 0.5
        if gain.mean() > max(error, gain_of_best):
            best, gain_of_best = form, float(gain.mean())
    return best
