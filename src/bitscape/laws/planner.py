"""What to deploy: the best model, method and precision under a budget."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from bitscape.laws.law import Law
from bitscape.laws.results import LawEntry, PointEntry, SettingEntry, Study
from bitscape.laws.rivals import widest_activations
from bitscape.laws.settings import Accounting, Ladder
from bitscape.laws.timing import FARTHEST, Profile, Timed, latency, of_family, times_beyond
from bitscape.laws.words import compute, size

BudgetKind = Literal["memory", "compute-bits", "latency"]
SHORTLIST = 2


class Budget(BaseModel):
    """A limit: `memory` in bytes, `compute-bits` in 1e9, `latency` in milliseconds an image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: BudgetKind
    limit: float


class Candidate(BaseModel):
    """One model in one setting, with what its law predicts.

    `quality_ci` is for this one model, hence wider than the interval of the law. `measured` is its
    own measurement where there is one. `times_beyond` is 1 inside the sizes the law was fitted to,
    `time_beyond` 1 inside those that were timed; null where no time is asked for. `accounting`
    says what `memory_bytes` counts: "actual" with scales and 16-bit leftovers, as the records hold
    them, "nominal" without where nobody counted.
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
    accounting: Accounting
    compute_bits: float
    quality: float
    quality_ci: tuple[float, float]
    dof: int
    measured: float | None
    extrapolated: bool
    times_beyond: float
    time_beyond: float | None = None


class Answer(BaseModel):
    """The answer for one source, series and protocol; `best` is null where nothing fits.

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


def plan(
    study: Study, budget: Budget, *, quality: float | None = None, profile: Profile | None = None
) -> list[Answer]:
    """The best candidate of each source, series and protocol under `budget`.

    Rivals are the settings with a sound law; for memory, which activations do not take, each method
    with its widest activations only. Memory is what the records counted with scales and leftovers,
    and nominal where they did not; a time comes from timed models of the same family.

    Without `quality` the best predicted quality wins; with it, the cheapest candidate predicted to
    reach it. Measured sizes come first: an extrapolated candidate is the answer only where no other
    fits. ValueError for a limit or a quality that is not positive, or a latency without a profile.
    """
    if not budget.limit > 0:
        raise ValueError(f"a budget of {budget.limit:g}: give a positive number")
    if quality is not None and not 0 < quality < float("inf"):
        raise ValueError(f"quality {quality:g} to reach: give a positive number")
    if budget.kind == "latency" and not profile:
        raise ValueError("a latency needs a device profile: give bench.json of `bitscape bench`")
    groups: dict[Ladder, list[SettingEntry]] = {}
    for one in study.settings:
        if one.sound:
            groups.setdefault(one.ladder, []).append(one)
    return [_answer(study, group, budget, quality, profile or ()) for group in groups.values()]


def _answer(
    study: Study,
    group: Sequence[SettingEntry],
    budget: Budget,
    quality: float | None,
    profile: Profile,
) -> Answer:
    first = group[0]
    timed = of_family(profile, study, first.family) if budget.kind == "latency" else {}
    found = _candidates(study, _rivals(group, budget), budget, timed)
    fitting = [one for one in found if one.cost <= budget.limit * (1 + 1e-9)]
    reaching = [one for one in fitting if quality is None or one.quality <= quality]
    ranked = sorted(reaching, key=lambda one: _rank(one, quality))
    tempting = min(reaching, key=lambda one: one.quality, default=None)
    best, runner_up = (*ranked, None, None)[:SHORTLIST]
    useful = tempting is not None and best is not None and tempting.quality < best.quality
    return Answer(
        source=first.source,
        series=first.series,
        family=first.family,
        metric=study.metric,
        protocol=first.protocol,
        best=best,
        runner_up=runner_up,
        tempting=tempting if useful and quality is None else None,
        reason=_reason(found, fitting, reaching, budget.kind, quality)
        or _untimed(group, profile, timed),
    )


def _rivals(group: Sequence[SettingEntry], budget: Budget) -> list[SettingEntry]:
    """What may compete for this budget, whatever the axis of the laws."""
    if budget.kind != "memory":
        return list(group)
    widest = widest_activations((one.method, one.w_bits, one.a_bits) for one in group)
    return [one for one in group if (one.method, one.w_bits, one.a_bits) in widest]


def _candidates(
    study: Study, rivals: Sequence[SettingEntry], budget: Budget, timed: Timed
) -> list[Candidate]:
    """Every model in every setting that has a cost of this kind."""
    laws = {law.setting: law for law in study.laws if law.chosen}
    models = {point.model: point for one in rivals for point in one.points}
    found = []
    for one in rivals:
        for point in models.values():
            times = timed.get(one.scheme, ())
            far = times_beyond(times, point.parameters) if times else None
            if budget.kind == "latency" and (far is None or far > FARTHEST):
                continue
            candidate = _candidate(study, one, laws[one.setting], point)
            milliseconds = latency(times, point.parameters) if times else 0.0
            costs = {
                "memory": candidate.memory_bytes,
                "compute-bits": candidate.compute_bits,
                "latency": milliseconds,
            }
            changed = {"cost": costs[budget.kind], "time_beyond": far}
            found.append(candidate.model_copy(update=changed))
    return found


def _rank(one: Candidate, quality: float | None) -> tuple[float, ...]:
    if quality is None:
        return one.extrapolated, one.quality, one.cost
    return one.extrapolated, one.cost, one.quality


def _reason(
    found: Sequence[Candidate],
    fitting: Sequence[Candidate],
    reaching: Sequence[Candidate],
    kind: BudgetKind,
    quality: float | None,
) -> str:
    """Why this is the answer; nothing where no candidate has a cost."""
    if reaching:
        return f"{len(reaching)} of {len(found)} candidates qualify"
    if not found:
        return ""
    if not fitting:
        cheapest = min(found, key=lambda one: one.cost)
        taken = spent(kind, cheapest.cost)
        return f"nothing fits: {cheapest.model} {cheapest.scheme} takes {taken}"
    best = min(fitting, key=lambda one: one.quality)
    closest = f"{best.model} {best.scheme} is predicted {best.quality:.3g}"
    return f"nothing that fits reaches {quality:g}: {closest}"


def spent(kind: BudgetKind, cost: float) -> str:
    """A cost with its unit: "116 MB", "13e9 compute bits", "20 ms"."""
    if kind == "memory":
        return size(cost)
    return compute(cost) if kind == "compute-bits" else f"{cost:.3g} ms"


def _untimed(group: Sequence[SettingEntry], profile: Profile, timed: Timed) -> str:
    """Why a profile gives no time to any candidate."""
    if not timed:
        models = ", ".join(dict.fromkeys(one.model for one in profile))
        family = group[0].family
        return f"the profile times {models}, which is not of {family}: bench a model of {family}"
    if any(one.scheme in timed for one in group):
        return f"the profile times no size within {FARTHEST:g} times of these models: bench nearer"
    return "no setting here has a cost of this kind: the profile times none of its schemes"


class _Costs(NamedTuple):
    """In 1e9 bits; `actual` with scales and leftovers, None where nobody counted."""

    axis: float
    model: float
    compute: float
    actual: float | None


def _costs(study: Study, one: SettingEntry, parameters: int) -> _Costs:
    """The costs of a size: as measured, else in proportion to the nearest size that was."""
    near = min(one.points, key=lambda point: abs(np.log(point.parameters / parameters)))
    scale = parameters / near.parameters
    actual = near.model_bits if study.accounting == "actual" else near.actual_bits
    return _Costs(
        axis=near.cost(study.axis) * scale,
        model=near.model_bits * scale,
        compute=near.compute_bits * scale,
        actual=None if actual is None else actual * scale,
    )


def _candidate(study: Study, one: SettingEntry, law: LawEntry, point: PointEntry) -> Candidate:
    own = next((other for other in one.points if other.parameters == point.parameters), None)
    costs = _costs(study, one, point.parameters)
    curve, sizes = law_of(law), [each.cost(study.axis) for each in one.points]
    beyond = max(min(sizes) / costs.axis, costs.axis / max(sizes), 1.0)
    return Candidate(
        model=point.model,
        parameters=point.parameters,
        method=one.method,
        scheme=one.scheme,
        w_bits=one.w_bits,
        a_bits=one.a_bits,
        form=law.form,
        cost=0.0,
        memory_bytes=(costs.model if costs.actual is None else costs.actual) * 1e9 / 8,
        accounting="nominal" if costs.actual is None else "actual",
        compute_bits=costs.compute,
        quality=float(curve.quality(costs.axis)),
        quality_ci=curve.quality_ci(costs.axis, new_model=True),
        dof=law.dof,
        measured=own.quality if own else None,
        extrapolated=beyond > 1 + 1e-6,
        times_beyond=beyond,
    )


def law_of(entry: LawEntry) -> Law:
    """The law that an entry describes; ValueError for one that was not fitted."""
    parts = (entry.log_a, entry.alpha, entry.floor, entry.sigma, entry.r2)
    if entry.covariance is None or None in parts:
        raise ValueError(f"{entry.method} W{entry.w_bits}A{entry.a_bits} has no {entry.form} law")
    log_a, alpha, floor, sigma, r2 = (float(part or 0.0) for part in parts)
    return Law(entry.form, log_a, alpha, floor, np.array(entry.covariance), sigma, entry.dof, r2)
