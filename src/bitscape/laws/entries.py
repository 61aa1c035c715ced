"""The entries of law.json: settings, laws and cells of the frontier, from what was fitted."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from bitscape.laws.choice import Fitted, full_precision_of
from bitscape.laws.frontier import Cell, Frontier, times_beyond
from bitscape.laws.law import Form, Interval, Law
from bitscape.laws.names import shortened
from bitscape.laws.results import FrontierEntry, LawEntry, PointEntry, SettingEntry
from bitscape.laws.settings import Setting

OFF_CHART = 10.0
"""A law is not read at more than this many times its largest, or below its smallest, bits."""

_SAME_SIZE = 0.01


def setting_entry(
    index: int, fitted: Fitted, shared: Collection[str], *, sound: bool, competes: bool
) -> SettingEntry:
    """A setting with its points; `shared` are the options that all methods have in common."""
    one = fitted.setting
    points = tuple(
        PointEntry(
            model=point.model,
            parameters=point.parameters,
            model_bits=point.model_bits,
            compute_bits=point.compute_bits,
            quality=point.quality,
            repeats=point.repeats,
            actual_bits=point.actual_bits,
        )
        for point in one.points
    )
    return SettingEntry(
        setting=index,
        source=one.ladder.source,
        table=one.table,
        series=one.ladder.series,
        family=one.family,
        method=one.method,
        short=shortened(one.method, shared),
        scheme=one.scheme,
        w_bits=one.w_bits,
        a_bits=one.a_bits,
        metric=one.ladder.metric,
        protocol=one.ladder.protocol,
        notes=one.notes,
        sound=sound and fitted.law is not None,
        competes=competes and fitted.law is not None,
        points=points,
    )


def law_entry(
    index: int, fitted: Fitted, form: Form, at: float, others: Sequence[Fitted]
) -> LawEntry:
    """One form of one setting: the fit, and what it says at the quality `at`."""
    law, one = fitted.laws.get(form), fitted.setting
    if law is None:
        known: dict[str, Any] = _absent(one, form)
    else:
        known = _fitted_fields(fitted, law, at, _reference(fitted, form, others))
    return LawEntry(
        setting=index,
        source=one.ladder.source,
        series=one.ladder.series,
        family=one.family,
        method=one.method,
        w_bits=one.w_bits,
        a_bits=one.a_bits,
        form=form,
        chosen=form == fitted.chosen,
        left_out_error=fitted.errors.get(form),
        **known,
    )


def _fitted_fields(fitted: Fitted, law: Law, at: float, reference: Law | None) -> dict[str, Any]:
    bits, interval, reason = _reading(fitted, law, at)
    ratio, ratio_ci = _ratio(law, reference, at) if bits and reference else (None, None)
    return {
        "dof": law.dof,
        "alpha": law.alpha,
        "alpha_ci": law.alpha_ci(),
        "r2": law.r2,
        "bits_at": bits,
        "bits_at_ci": interval,
        "extrapolated": bits is None or times_beyond(fitted, bits) > 1,
        "times_beyond": None if bits is None else times_beyond(fitted, bits),
        "bits_ratio": ratio,
        "bits_ratio_ci": ratio_ci,
        "reason": reason,
        "log_a": law.log_a,
        "floor": law.floor,
        "sigma": law.sigma,
        "covariance": law.covariance.tolist(),
        "beta": None if law.beta is None else law.beta.value,
        "beta_ci": None if law.beta is None else law.beta.ends(law.t),
        "share": None if law.log_share is None else math.exp(law.log_share.value),
        "share_ci": law.share_ci(),
    }


def _absent(setting: Setting, form: Form) -> dict[str, Any]:
    """The fields of a form that could not be fitted."""
    count = len(setting.points)
    needed = 4 if form == "power-floor" else 3
    few = f"{count} size{'s' if count > 1 else ''}: this form needs {needed}"
    reason = few if count < needed else "this form needs several precisions of the method"
    empty = dict.fromkeys(name for name in LawEntry.model_fields if name not in _ALWAYS)
    return {**empty, "dof": 0, "reason": reason}


_ALWAYS = frozenset(
    {"setting", "source", "series", "family", "method", "w_bits", "a_bits", "form", "chosen"}
    | {"left_out_error"}
)


def _reading(
    fitted: Fitted, law: Law, at: float
) -> tuple[float | None, Interval | None, str | None]:
    """The bits at which the law reaches `at`, their interval, or why there are none."""
    if law.alpha <= 0:
        return None, None, "off the chart: quality does not improve with size"
    if at <= law.floor:
        return None, None, f"off the chart: the floor is {law.floor:.3g}"
    bits = law.bits_at(at)
    factor = np.inf if bits is None else times_beyond(fitted, bits)
    if bits is None or factor > OFF_CHART:
        size = "far beyond" if factor > 1e6 else f"at {factor:,.0f} times"
        return None, None, f"off the chart: reached {size} the sizes measured"
    return bits, law.bits_at_ci(at), None


def _reference(fitted: Fitted, form: Form, others: Sequence[Fitted]) -> Law | None:
    """Full precision in the same form where it has one, as a power law otherwise."""
    found = full_precision_of(fitted.setting, [one.setting for one in others])
    if found is None:
        return None
    laws = next(one.laws for one in others if one.setting is found)
    return laws.get(form) or laws.get("power")


def _ratio(law: Law, reference: Law, at: float) -> tuple[float | None, Interval | None]:
    """Bits over those of full precision, by the delta method on log bits, as if independent."""
    ours, theirs = law.bits_at(at), reference.bits_at(at)
    if ours is None or theirs is None:
        return None, None
    ratio = ours / theirs
    if law is reference:
        return 1.0, (1.0, 1.0)
    steps = [_log_bits_error(one, bits) for one, bits in ((law, ours), (reference, theirs))]
    if min(law.alpha_ci()[0], reference.alpha_ci()[0]) <= 0:
        return ratio, (None, None)
    quantile = max(law.t, reference.t)
    half = quantile * math.hypot(*steps)
    ends = (ratio * float(np.exp(-half)), ratio * float(np.exp(half)) if half < 50 else None)
    return ratio, ends


def _log_bits_error(law: Law, bits: float) -> float:
    """Standard error of log bits: that of log Q over the slope there."""
    slope = law.alpha * (1 - law.floor / float(law.quality(bits)))
    return float(law.deviation(bits)) / slope


def cells(
    found: Sequence[Frontier], fitted: Sequence[Fitted], *, guarded: bool
) -> list[FrontierEntry]:
    """The cells of every ladder, or those of blind trust in every law."""
    index = {id(one): position for position, one in enumerate(fitted)}
    return [
        _frontier_entry(cell, index[id(cell.fitted)])
        for frontier in found
        for cell in (frontier.cells if guarded else frontier.unguarded)
    ]


def _frontier_entry(cell: Cell, index: int) -> FrontierEntry:
    one, law = cell.fitted.setting, cell.fitted.law
    if law is None:
        raise ValueError(f"{one.label} has no law")
    near = min(one.points, key=lambda point: abs(np.log(point.bits / cell.budget)))
    parameters = near.parameters * cell.budget / near.bits
    same = abs(near.bits / cell.budget - 1) < _SAME_SIZE
    return FrontierEntry(
        budget=cell.budget,
        source=one.ladder.source,
        series=one.ladder.series,
        setting=index,
        model=near.model if same else f"{one.ladder.series}, {parameters / 1e6:.4g}M",
        parameters=parameters,
        method=one.method,
        w_bits=one.w_bits,
        a_bits=one.a_bits,
        quality=float(law.quality(cell.budget)),
        quality_ci=law.quality_ci(cell.budget),
        membership=cell.membership,
        extrapolated=cell.extrapolated,
        times_beyond=cell.times_beyond,
    )
