"""A study: from a table of measurements to laws, frontier, findings and caveats."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bitscape.laws.choice import Fitted, fit_all, full_precision_of, parallelism
from bitscape.laws.findings import caveats, findings
from bitscape.laws.frontier import Cell, Frontier, competitors, frontiers, times_beyond
from bitscape.laws.law import CONFIDENCE, FORMS, Form, Interval, Law
from bitscape.laws.relative import relative, styles
from bitscape.laws.results import (
    FrontierEntry,
    LawEntry,
    ParallelismEntry,
    PointEntry,
    SettingEntry,
    Study,
)
from bitscape.laws.settings import Accounting, Axis, Setting, settings_of
from bitscape.laws.table import Row

OFF_CHART = 10.0
"""A law is not read at more than this many times its largest, or below its smallest, bits."""

PREFERRED = ("fid", "fd_shapes", "nll", "denoising_loss")
_SAME_SIZE = 0.01


def study(
    rows: Sequence[Row],
    axis: Axis = "model-bits",
    *,
    metric: str | None = None,
    at: float | None = None,
    accounting: Accounting = "nominal",
) -> Study:
    """The laws of every setting in `rows`, and what follows from them.

    `metric` defaults to the first of `PREFERRED` that was measured, `at` to the quality in the
    middle of the full-precision settings. ValueError for an empty table, or an `at` below zero.
    """
    if not rows:
        raise ValueError("the table holds no finished measurement")
    if at is not None and not at > 0:
        raise ValueError(f"quality {at} to reach: give a positive number")
    chosen = metric or _preferred(rows)
    settings = settings_of(rows, axis, chosen, accounting)
    target = _middle(settings) if at is None else at
    fitted = fit_all(settings, axis)
    rivals = _rivals(fitted, axis)
    found = frontiers(fitted, axis)
    entries = tuple(
        _setting_entry(index, one, id(one) in rivals) for index, one in enumerate(fitted)
    )
    laws = tuple(
        _law_entry(index, one, form, target, fitted)
        for index, one in enumerate(fitted)
        for form in FORMS
    )
    frontier = tuple(_cells(found, fitted, guarded=True))
    result = Study(
        axis=axis,
        accounting=accounting,
        metric=chosen,
        at=target,
        confidence=CONFIDENCE,
        settings=entries,
        laws=laws,
        frontier=frontier,
        unguarded=tuple(_cells(found, fitted, guarded=False)),
        parallelism=tuple(
            ParallelismEntry(
                source=test.ladder.source,
                series=test.ladder.series,
                method=test.method,
                a_bits=test.a_bits,
                settings=test.labels,
                alpha=test.alpha,
                alpha_ci=test.alpha_ci,
                f=test.f,
                dof=test.dof,
                p=test.p,
            )
            for test in parallelism(settings)
        ),
        relative=relative(fitted),
        findings=(),
        caveats=(),
    )
    words = {"findings": (*findings(result), *styles(result)), "caveats": caveats(result)}
    return result.model_copy(update=words)


def _preferred(rows: Sequence[Row]) -> str:
    measured = {row.metric for row in rows}
    found = next((metric for metric in PREFERRED if metric in measured), None)
    if found is None:
        raise ValueError(f"choose the metric of the laws: {', '.join(sorted(measured))}")
    return found


def _middle(settings: Sequence[Setting]) -> float:
    full = [one for one in settings if one.full_precision] or list(settings)
    values = np.concatenate([one.quality for one in full])
    return float(f"{np.exp(np.median(np.log(values))):.2g}")


def _rivals(fitted: Sequence[Fitted], axis: Axis) -> set[int]:
    ladders = dict.fromkeys(one.setting.ladder for one in fitted)
    groups = [[one for one in fitted if one.setting.ladder == ladder] for ladder in ladders]
    return {id(one) for group in groups for one in competitors(group, axis)}


def _setting_entry(index: int, fitted: Fitted, competes: bool) -> SettingEntry:
    one = fitted.setting
    points = tuple(
        PointEntry(
            model=point.model,
            parameters=point.parameters,
            model_bits=point.model_bits,
            compute_bits=point.compute_bits,
            quality=point.quality,
            repeats=point.repeats,
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
        scheme=one.scheme,
        w_bits=one.w_bits,
        a_bits=one.a_bits,
        metric=one.ladder.metric,
        protocol=one.ladder.protocol,
        notes=one.notes,
        competes=competes and fitted.law is not None,
        points=points,
    )


def _law_entry(
    index: int, fitted: Fitted, form: Form, at: float, others: Sequence[Fitted]
) -> LawEntry:
    law, one = fitted.laws.get(form), fitted.setting
    if law is None:
        known: dict[str, Any] = _absent(one, form)
    else:
        bits, interval, reason = _reading(fitted, law, at)
        reference = _reference(fitted, form, others)
        ratio, ratio_ci = _ratio(law, reference, at) if bits and reference else (None, None)
        known = {
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
        }
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


def _cells(
    found: Sequence[Frontier], fitted: Sequence[Fitted], *, guarded: bool
) -> list[FrontierEntry]:
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
