"""Sentences computed from a study: what it found, and why to doubt it."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from bitscape.laws.results import (
    FrontierEntry,
    LawEntry,
    PointEntry,
    SettingEntry,
    Study,
)

SIGNIFICANT = 0.05
_NAMED = 6


def findings(study: Study) -> tuple[str, ...]:
    """What the study says, one sentence a fact, ladder by ladder."""
    found = []
    for ladder in ladders(study):
        laws = [law for law in chosen_laws(study) if (law.source, law.series) == ladder]
        found += [*_iso_quality(study, laws), *_narrower(study, laws), *_off_chart(study, laws)]
        found += [*_frontier(study, ladder), *_parallel(study, ladder)]
    return tuple(found)


def caveats(study: Study) -> tuple[str, ...]:
    """What limits the study, one sentence each."""
    said = [
        *_weak(study),
        "Intervals are Student's t on the residuals of per-size means, at "
        f"{100 * study.confidence:.0f} %; they cover noise between sizes, not a wrong form.",
        "Settings of different sources, series or protocols are never fitted or compared together.",
        *_readings_of_bits(study),
        *_competing(study),
        *_not_fitted(study),
    ]
    notes = [f"{one.source}, {label(one)}: {note}." for one in study.settings for note in one.notes]
    return tuple(dict.fromkeys([*said, *(notes if len(notes) <= 2 * _NAMED else [])]))


def ladders(study: Study) -> list[tuple[str, str]]:
    """(source, series) of the settings, in order."""
    return list(dict.fromkeys((one.source, one.series) for one in study.settings))


def chosen_laws(study: Study) -> list[LawEntry]:
    """The chosen form of each setting that has one."""
    return [law for law in study.laws if law.chosen]


def label(one: SettingEntry) -> str:
    """ "topkld W4A16"; full precision goes by the name its source gives it."""
    if min(one.w_bits, one.a_bits) < 16:
        return f"{one.method} {one.scheme}"
    return "full precision" if one.method == "none" else one.method


def metric_name(metric: str) -> str:
    """The metric as people write it."""
    return {"fid": "FID", "sfid": "sFID", "fd_shapes": "FD-shapes", "nll": "NLL"}.get(
        metric, metric
    )


def gigabits(bits: float) -> str:
    """ "4.42 Gbit" of bits in 1e9."""
    return f"{bits:.3g} Gbit" if bits >= 0.1 else f"{1e3 * bits:.3g} Mbit"


def amount(study: Study, bits: float) -> str:
    """Bits on the axis of the study, in words."""
    return gigabits(bits) if study.axis == "model-bits" else f"{bits:.3g}e9 compute bits"


def cost(study: Study, point: PointEntry) -> float:
    """Bits of a point on the axis of the study."""
    return point.model_bits if study.axis == "model-bits" else point.compute_bits


def in_millions(study: Study) -> bool:
    """Whether the models are so small that bits are better told in 1e6 than in 1e9."""
    return max(cost(study, point) for one in study.settings for point in one.points) < 0.1


def _name(study: Study, law: LawEntry) -> str:
    return label(study.settings[law.setting])


def _readable(study: Study, laws: Iterable[LawEntry]) -> list[LawEntry]:
    """Laws with bits at the target and two degrees of freedom, fewest bits first."""
    sound = [law for law in laws if law.bits_at is not None and law.dof >= 2]
    return sorted(sound, key=lambda law: law.bits_at or 0.0)


def _iso_quality(study: Study, laws: Sequence[LawEntry]) -> list[str]:
    """The cheapest setting at the target beside full precision, in each of its readings."""
    ranked = _readable(study, laws)
    full = [law for law in ranked if min(law.w_bits, law.a_bits) >= 16 and not law.extrapolated]
    if not full or len(ranked) == len(full):
        return []
    measured = [law for law in ranked if not law.extrapolated]
    best = next((law for law in measured if min(law.w_bits, law.a_bits) < 16), None)
    if best is None:
        return []
    full.sort(key=lambda law: law.setting)
    readings = " or ".join(
        amount(study, law.bits_at or 0.0) + _table(study, law, len(full)) for law in full
    )
    ratio = "" if best.bits_ratio is None else f", {best.bits_ratio:.2f} times the bits"
    ends = best.bits_ratio_ci
    if ends is not None and None not in ends:
        ratio += f" ({ends[0]:.2f} to {ends[1]:.2f})"
    return [
        f"{_place(best)}: {metric_name(study.metric)} {study.at:g} takes {readings} at full "
        f"precision and {amount(study, best.bits_at or 0.0)} with {_name(study, best)}{ratio}."
    ]


def _table(study: Study, law: LawEntry, readings: int) -> str:
    table = study.settings[law.setting].table
    return f" (table {table})" if readings > 1 and table else ""


def _narrower(study: Study, laws: Sequence[LawEntry]) -> list[str]:
    """Which settings of each weight width beat the best of the next wider one."""
    found = []
    ranked = _readable(study, laws)
    for a_bits in sorted({law.a_bits for law in ranked}, reverse=True):
        alike = [law for law in ranked if law.a_bits == a_bits and law.w_bits < 16]
        tried = [law for law in laws if law.a_bits == a_bits and law.dof >= 2]
        for wide, narrow in _steps({law.w_bits for law in alike}):
            rival = next(law for law in alike if law.w_bits == wide)
            group = [law for law in tried if law.w_bits == narrow]
            better = [law for law in group if law.bits_at and law.bits_at < (rival.bits_at or 0)]
            names = ", ".join(f"{law.method} {amount(study, law.bits_at or 0)}" for law in better)
            found.append(
                f"{_place(rival)}: {len(better)} of {len(group)} settings at W{narrow}A{a_bits} "
                f"beat the best at W{wide}A{a_bits} ({rival.method}, "
                f"{amount(study, rival.bits_at or 0.0)})" + (f": {names}." if names else ".")
            )
    return found


def _steps(widths: set[int | float]) -> list[tuple[int | float, int | float]]:
    ordered = sorted(widths, reverse=True)
    return list(zip(ordered, ordered[1:], strict=False))


def _off_chart(study: Study, laws: Sequence[LawEntry]) -> list[str]:
    lost = [law for law in laws if law.bits_at is None]
    if not lost or len(lost) == len(laws):
        return []
    names = [_name(study, law) for law in lost]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [
        f"{_place(lost[0])}: off the chart at {metric_name(study.metric)} {study.at:g}: "
        f"{', '.join(names[:_NAMED])}{more}."
    ]


def _frontier(study: Study, ladder: tuple[str, str]) -> list[str]:
    cells = [cell for cell in study.frontier if (cell.source, cell.series) == ladder]
    small = in_millions(study)
    factor = 1e3 if small else 1.0
    ranges = [
        f"{_label_of(study, index)} {_range(list(group), factor)}"
        for index, group in groupby(
            (cell for cell in cells if not cell.extrapolated), key=lambda cell: cell.setting
        )
    ]
    if not ranges:
        return []
    unit = (
        ("Mbit" if small else "Gbit")
        if study.axis == "model-bits"
        else (f"1e{6 if small else 9} compute bits")
    )
    said = [f"{ladder[1]} ({ladder[0]}): frontier, in {unit}: {'; '.join(ranges)}."]
    return said + _blind(study, ladder)


def _range(cells: Sequence[FrontierEntry], factor: float) -> str:
    low, high = factor * cells[0].budget, factor * cells[-1].budget
    return f"at {low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def _blind(study: Study, ladder: tuple[str, str]) -> list[str]:
    """The setting that blind extrapolation would crown at the largest measured budget."""
    cells = [cell for cell in study.unguarded if (cell.source, cell.series) == ladder]
    costs = [
        cost(study, point)
        for one in study.settings
        if one.competes and (one.source, one.series) == ladder
        for point in one.points
    ]
    within = [cell for cell in cells if cell.budget <= max(costs, default=0.0)]
    if not within or not within[-1].extrapolated:
        return []
    winner = within[-1].setting
    largest = max(cost(study, point) for point in study.settings[winner].points)
    above = [cell for cell in within if cell.setting == winner and cell.budget > largest]
    if not above:
        return []
    return [
        f"{ladder[1]} ({ladder[0]}): extrapolated blindly, {_label_of(study, winner)} would win "
        f"from {amount(study, above[0].budget)}; it was measured up to "
        f"{amount(study, largest)}, so this is marked and not used."
    ]


def _parallel(study: Study, ladder: tuple[str, str]) -> list[str]:
    tests = [test for test in study.parallelism if (test.source, test.series) == ladder]
    if not tests:
        return []
    crossing = [
        f"{test.method} A{test.a_bits} (p = {test.p:.2g})" for test in tests if test.p < SIGNIFICANT
    ]
    kept = [f"{test.method} A{test.a_bits}" for test in tests if test.p >= SIGNIFICANT]
    said = (
        f"lines of different precision may share one exponent for {', '.join(kept) or 'no method'}"
    )
    rejected = f"; not for {', '.join(crossing)}" if crossing else ""
    return [f"{ladder[1]} ({ladder[0]}): {said}{rejected}."]


def _label_of(study: Study, index: int) -> str:
    return label(study.settings[index])


def _place(law: LawEntry) -> str:
    return f"{law.series} ({law.source})"


def _weak(study: Study) -> list[str]:
    counts = sorted({law.dof for law in chosen_laws(study) if law.form == "power"})
    if not counts:
        return ["No setting has the three sizes that a law needs."]
    sizes = " or ".join(str(count + 2) for count in counts)
    freedom = " or ".join(map(str, counts))
    return [
        f"Fits are weak: {sizes} sizes a setting leave {freedom} degrees of freedom. An exponent "
        "means nothing without its interval."
    ]


def _readings_of_bits(study: Study) -> list[str]:
    said = [
        "Bits are nominal, width times parameters; scales and leftovers at 16 bits come on top."
        if study.accounting == "nominal"
        else "Bits are actual: scales, zero points and 16-bit leftovers included."
    ]
    if any(one.w_bits > 16 for one in study.settings):
        said.append(
            "Weights published in float32 count 16 bits, because half of them lose nothing."
        )
    return said


def _competing(study: Study) -> list[str]:
    said = []
    if any(not one.competes for one in study.settings):
        said.append(
            "Not on the frontier: second readings of a setting, laws with one degree of freedom "
            "where others have more"
            + (
                ", and settings whose method reached the same weight bits with wider activations."
                if study.axis == "model-bits"
                else "."
            )
        )
    return said


def _not_fitted(study: Study) -> list[str]:
    known = {law.setting for law in chosen_laws(study)}
    rest: dict[str, list[int]] = {}
    for one in study.settings:
        if one.setting not in known:
            rest.setdefault(one.series, []).append(len(one.points))
    return [
        f"{series}: {len(counts)} setting{'s have' if len(counts) > 1 else ' has'} too few sizes "
        f"for a law, at most {max(counts)} where it takes three."
        for series, counts in rest.items()
    ]
