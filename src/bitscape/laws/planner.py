"""What to deploy: the best model, method and precision under a budget."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from bitscape.laws.law import Law
from bitscape.laws.results import LawEntry, PointEntry, SettingEntry, Study

BudgetKind = Literal["memory", "compute-bits", "latency"]
SHORTLIST = 2


class Budget(BaseModel):
    """A limit: `memory` in bytes, `compute-bits` in 1e9, `latency` in milliseconds a batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: BudgetKind
    limit: float


class Candidate(BaseModel):
    """One model in one setting, with what its law predicts.

    `quality_ci` is for this one model, hence wider than the interval of the law. `measured` is its
    own measurement where there is one. `times_beyond` is 1 inside the sizes the law was fitted to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    parameters: int
    method: str
    scheme: str
    w_bits: int | float
    a_bits: int | float
    form: str
    cost: float
    memory_bytes: float
    compute_bits: float
    quality: float
    quality_ci: tuple[float, float]
    dof: int
    measured: float | None
    extrapolated: bool
    times_beyond: float


class Answer(BaseModel):
    """The answer for one source and series; `best` is null where nothing fits.

    `tempting` would be better by its law, but lies outside the sizes it was fitted to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    series: str
    family: str
    metric: str
    protocol: str
    best: Candidate | None
    runner_up: Candidate | None
    tempting: Candidate | None
    reason: str


Profile = Mapping[str, Sequence[tuple[float, float]]]
"""Scheme to (parameters, milliseconds) pairs, as timed on the device."""


def plan(
    study: Study, budget: Budget, *, quality: float | None = None, profile: Profile | None = None
) -> list[Answer]:
    """The best candidate of each source and series under `budget`.

    Without `quality` the best predicted quality wins; with it, the cheapest candidate predicted to
    reach it. Measured sizes come first: an extrapolated candidate is the answer only where no other
    fits. ValueError for a limit that is not positive or a latency without a profile.
    """
    if not budget.limit > 0:
        raise ValueError(f"a budget of {budget.limit:g}: give a positive number")
    if budget.kind == "latency" and not profile:
        raise ValueError("a latency needs a device profile: give bench.json of `bitscape bench`")
    groups: dict[tuple[str, str, str], list[SettingEntry]] = {}
    for one in study.settings:
        if one.competes:
            groups.setdefault((one.source, one.series, one.protocol), []).append(one)
    return [_answer(study, group, budget, quality, profile or {}) for group in groups.values()]


def latency(points: Sequence[tuple[float, float]], parameters: float) -> float:
    """Milliseconds for a network of `parameters`: in proportion to the nearest size that was timed,
    and between two sizes along the line through them in logarithms."""
    sizes, times = np.array(sorted(points)).T
    if parameters <= sizes[0] or parameters >= sizes[-1]:
        end = 0 if parameters <= sizes[0] else -1
        return float(times[end] * parameters / sizes[end])
    return float(np.exp(np.interp(np.log(parameters), np.log(sizes), np.log(times))))


def _answer(
    study: Study,
    group: Sequence[SettingEntry],
    budget: Budget,
    quality: float | None,
    profile: Profile,
) -> Answer:
    laws = {law.setting: law for law in study.laws if law.chosen}
    models = {point.model: point for one in group for point in one.points}
    found = [
        candidate
        for one in group
        for point in models.values()
        for candidate in [_candidate(study, one, laws[one.setting], point, budget, profile)]
        if candidate is not None
    ]
    fitting = [one for one in found if one.cost <= budget.limit * (1 + 1e-9)]
    reaching = [one for one in fitting if quality is None or one.quality <= quality]
    ranked = sorted(reaching, key=lambda one: _rank(one, quality))
    tempting = min(reaching, key=lambda one: one.quality, default=None)
    best, runner_up = (*ranked, None, None)[:SHORTLIST]
    useful = tempting is not None and best is not None and tempting.quality < best.quality
    first = group[0]
    return Answer(
        source=first.source,
        series=first.series,
        family=first.family,
        metric=study.metric,
        protocol=first.protocol,
        best=best,
        runner_up=runner_up,
        tempting=tempting if useful and quality is None else None,
        reason=_reason(found, fitting, reaching, quality),
    )


def _rank(one: Candidate, quality: float | None) -> tuple[float, ...]:
    if quality is None:
        return one.extrapolated, one.quality, one.cost
    return one.extrapolated, one.cost, one.quality


def _reason(
    found: Sequence[Candidate],
    fitting: Sequence[Candidate],
    reaching: Sequence[Candidate],
    quality: float | None,
) -> str:
    if reaching:
        return f"{len(reaching)} of {len(found)} candidates qualify"
    if not found:
        return "no setting here has a cost of this kind: the profile times none of its schemes"
    if not fitting:
        cheapest = min(found, key=lambda one: one.cost)
        return f"nothing fits: {cheapest.model} {cheapest.scheme} takes {cheapest.cost:.4g}"
    best = min(fitting, key=lambda one: one.quality)
    closest = f"{best.model} {best.scheme} is predicted {best.quality:.3g}"
    return f"nothing that fits reaches {quality:g}: {closest}"


def _candidate(
    study: Study,
    one: SettingEntry,
    law: LawEntry,
    point: PointEntry,
    budget: Budget,
    profile: Profile,
) -> Candidate | None:
    own = next((other for other in one.points if other.parameters == point.parameters), None)
    model_bits, compute_bits = (
        getattr(own, name) if own else _scaled(one, name, point.parameters)
        for name in ("model_bits", "compute_bits")
    )
    if budget.kind == "latency":
        if one.scheme not in profile:
            return None
        cost = latency(profile[one.scheme], point.parameters)
    else:
        cost = model_bits * 1e9 / 8 if budget.kind == "memory" else compute_bits
    bits = model_bits if study.axis == "model-bits" else compute_bits
    curve = law_of(law)
    costs = [getattr(each, study.axis.replace("-", "_")) for each in one.points]
    beyond = max(min(costs) / bits, bits / max(costs), 1.0)
    return Candidate(
        model=point.model,
        parameters=point.parameters,
        method=one.method,
        scheme=one.scheme,
        w_bits=one.w_bits,
        a_bits=one.a_bits,
        form=law.form,
        cost=cost,
        memory_bytes=model_bits * 1e9 / 8,
        compute_bits=compute_bits,
        quality=float(curve.quality(bits)),
        quality_ci=curve.quality_ci(bits, new_model=True),
        dof=law.dof,
        measured=own.quality if own else None,
        extrapolated=beyond > 1 + 1e-6,
        times_beyond=beyond,
    )


def _scaled(one: SettingEntry, name: str, parameters: int) -> float:
    """The cost of a size that was not measured, in proportion to the nearest one that was."""
    near = min(one.points, key=lambda point: abs(np.log(point.parameters / parameters)))
    return float(getattr(near, name)) * parameters / near.parameters


def law_of(entry: LawEntry) -> Law:
    """The law that an entry describes; ValueError for one that was not fitted."""
    parts = (entry.log_a, entry.alpha, entry.floor, entry.sigma, entry.r2)
    if entry.covariance is None or None in parts:
        raise ValueError(f"{entry.method} W{entry.w_bits}A{entry.a_bits} has no {entry.form} law")
    log_a, alpha, floor, sigma, r2 = (float(part or 0.0) for part in parts)
    return Law(entry.form, log_a, alpha, floor, np.array(entry.covariance), sigma, entry.dof, r2)
