"""Sentences computed from a study: what it found, ladder by ladder."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from bitscape.laws.results import FrontierEntry, LawEntry, Study
from bitscape.laws.settings import Ladder
from bitscape.laws.table import FULL_BITS
from bitscape.laws.words import amount, in_millions, label, metric_name, place

SIGNIFICANT = 0.05
_NAMED = 6


def findings(study: Study) -> tuple[str, ...]:
    """What the study says, one sentence a fact, ladder by ladder."""
    found = []
    for ladder in study.ladders:
        laws = [
            law for law in study.laws if law.chosen and study.settings[law.setting].ladder == ladder
        ]
        found += [*_iso_quality(study, laws), *_narrower(study, laws), *_off_chart(study, laws)]
        found += [*_frontier(study, ladder), *_parallel(study, ladder)]
    return tuple(found)


def _name(study: Study, law: LawEntry) -> str:
    return label(study.settings[law.setting])


def _readable(study: Study, laws: Iterable[LawEntry]) -> list[LawEntry]:
    """Laws with bits at the target and two degrees of freedom, fewest bits first."""
    sound = [law for law in laws if law.bits_at is not None and law.dof >= 2]
    return sorted(sound, key=lambda law: law.bits_at or 0.0)


def _iso_quality(study: Study, laws: Sequence[LawEntry]) -> list[str]:
    """The cheapest setting at the target beside full precision, in each of its readings."""
    ranked = _readable(study, laws)
    full = [law for law in ranked if law.full_precision and not law.extrapolated]
    if not full or len(ranked) == len(full):
        return []
    measured = [law for law in ranked if not law.extrapolated]
    best = next((law for law in measured if not law.full_precision), None)
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
        f"{_place(study, best)}: {metric_name(study.metric)} {study.at:g} takes {readings} at full "
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
        alike = [law for law in ranked if law.a_bits == a_bits and law.w_bits < FULL_BITS]
        tried = [law for law in laws if law.a_bits == a_bits and law.dof >= 2]
        for wide, narrow in _steps({law.w_bits for law in alike}):
            rival = next(law for law in alike if law.w_bits == wide)
            group = [law for law in tried if law.w_bits == narrow]
            better = [law for law in group if law.bits_at and law.bits_at < (rival.bits_at or 0)]
            names = ", ".join(
                f"{_short(study, law)} {amount(study, law.bits_at or 0)}" for law in better
            )
            found.append(
                f"{_place(study, rival)}: {len(better)} of {len(group)} settings at "
                f"W{narrow}A{a_bits} beat the best at W{wide}A{a_bits} ({_short(study, rival)}, "
                f"{amount(study, rival.bits_at or 0.0)})" + (f": {names}." if names else ".")
            )
    return found


def _short(study: Study, law: LawEntry) -> str:
    return study.settings[law.setting].short


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
        f"{_place(study, lost[0])}: off the chart at {metric_name(study.metric)} {study.at:g}: "
        f"{', '.join(names[:_NAMED])}{more}."
    ]


def _frontier(study: Study, ladder: Ladder) -> list[str]:
    cells = _cells(study, study.frontier, ladder)
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
    said = [f"{place(study, ladder)}: frontier, in {unit}: {'; '.join(ranges)}."]
    return said + _blind(study, ladder)


def _cells(study: Study, cells: Iterable[FrontierEntry], ladder: Ladder) -> list[FrontierEntry]:
    return [cell for cell in cells if study.settings[cell.setting].ladder == ladder]


def _range(cells: Sequence[FrontierEntry], factor: float) -> str:
    low, high = factor * cells[0].budget, factor * cells[-1].budget
    return f"at {low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def _blind(study: Study, ladder: Ladder) -> list[str]:
    """The setting that blind extrapolation would crown at the largest measured budget."""
    cells = _cells(study, study.unguarded, ladder)
    costs = [
        point.cost(study.axis)
        for one in study.settings
        if one.competes and one.ladder == ladder
        for point in one.points
    ]
    within = [cell for cell in cells if cell.budget <= max(costs, default=0.0)]
    if not within or not within[-1].extrapolated:
        return []
    winner = within[-1].setting
    largest = max(point.cost(study.axis) for point in study.settings[winner].points)
    above = [cell for cell in within if cell.setting == winner and cell.budget > largest]
    if not above:
        return []
    return [
        f"{place(study, ladder)}: extrapolated blindly, {_label_of(study, winner)} would win "
        f"from {amount(study, above[0].budget)}; it was measured up to "
        f"{amount(study, largest)}, so this is marked and not used."
    ]


def _parallel(study: Study, ladder: Ladder) -> list[str]:
    tests = [
        test
        for test in study.parallelism
        if (test.source, test.series, test.protocol)
        == (ladder.source, ladder.series, ladder.protocol)
    ]
    if not tests:
        return []
    short = {one.method: one.short for one in study.settings}
    names = [f"{short[test.method]} A{test.a_bits}" for test in tests]
    named = list(zip(names, tests, strict=True))
    crossing = [f"{name} (p = {test.p:.2g})" for name, test in named if test.p < SIGNIFICANT]
    kept = [name for name, test in named if test.p >= SIGNIFICANT]
    said = (
        f"lines of different precision may share one exponent for {', '.join(kept) or 'no method'}"
    )
    rejected = f"; not for {', '.join(crossing)}" if crossing else ""
    return [f"{place(study, ladder)}: {said}{rejected}."]


def _label_of(study: Study, index: int) -> str:
    return label(study.settings[index])


def _place(study: Study, law: LawEntry) -> str:
    return place(study, study.settings[law.setting].ladder)
