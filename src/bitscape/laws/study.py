"""A study: from a table of measurements to laws, frontier, findings and caveats."""

from collections.abc import Callable, Sequence

import numpy as np

from bitscape.laws.caveats import caveats
from bitscape.laws.change import changes
from bitscape.laws.choice import Fitted, fit_all, parallelism
from bitscape.laws.entries import cells, law_entry, setting_entry
from bitscape.laws.findings import findings
from bitscape.laws.frontier import frontiers
from bitscape.laws.law import CONFIDENCE, FORMS
from bitscape.laws.names import shared_options
from bitscape.laws.relative import relative
from bitscape.laws.results import ParallelismEntry, SettingEntry, Study
from bitscape.laws.rivals import competitors, sound
from bitscape.laws.samples import alike
from bitscape.laws.settings import Accounting, Axis, Setting, runs_of, settings_of
from bitscape.laws.styles import styles
from bitscape.laws.table import Row

PREFERRED = ("fid", "fd_shapes", "nll", "denoising_loss")


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
    kept, left = alike(rows)
    settings = settings_of(kept, axis, chosen, accounting)
    target = _middle(settings) if at is None else at
    fitted = fit_all(settings, axis)
    found = frontiers(fitted, axis)
    result = Study(
        axis=axis,
        accounting=accounting,
        metric=chosen,
        at=target,
        confidence=CONFIDENCE,
        settings=_settings(fitted, axis),
        laws=tuple(
            law_entry(index, one, form, target, fitted)
            for index, one in enumerate(fitted)
            for form in FORMS
        ),
        frontier=tuple(cells(found, fitted, guarded=True)),
        unguarded=tuple(cells(found, fitted, guarded=False)),
        parallelism=_parallelism(settings),
        relative=relative(fitted),
        changes=changes(fitted, runs_of(kept, chosen)),
        left_out=tuple(one for one in left if one.metric == chosen),
        findings=(),
        caveats=(),
    )
    words = {"findings": (*findings(result), *styles(result)), "caveats": caveats(result)}
    return result.model_copy(update=words)


def _parallelism(settings: Sequence[Setting]) -> tuple[ParallelismEntry, ...]:
    return tuple(
        ParallelismEntry(
            source=test.ladder.source,
            series=test.ladder.series,
            protocol=test.ladder.protocol,
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
    )


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


def _settings(fitted: Sequence[Fitted], axis: Axis) -> tuple[SettingEntry, ...]:
    usable = _chosen(fitted, sound)
    rivals = _chosen(fitted, lambda group: competitors(group, axis))
    shared = shared_options(one.setting.method for one in fitted)
    return tuple(
        setting_entry(index, one, shared, sound=id(one) in usable, competes=id(one) in rivals)
        for index, one in enumerate(fitted)
    )


def _chosen(
    fitted: Sequence[Fitted], choose: Callable[[Sequence[Fitted]], list[Fitted]]
) -> set[int]:
    """Identities of what is chosen within each ladder."""
    groups: dict[object, list[Fitted]] = {}
    for one in fitted:
        groups.setdefault(one.setting.ladder, []).append(one)
    return {id(one) for group in groups.values() for one in choose(group)}
