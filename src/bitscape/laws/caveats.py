"""Why to doubt a study: sentences computed from it."""

from bitscape.laws.names import sharing
from bitscape.laws.results import LeftOutEntry, Study
from bitscape.laws.samples import BIASED
from bitscape.laws.table import FULL_BITS
from bitscape.laws.words import label, metric_name

OWN_FORMS = ("power", "power-floor")
_NOTES = 12


def caveats(study: Study) -> tuple[str, ...]:
    """What limits the study, one sentence each."""
    said = [
        *_weak(study),
        "Intervals are Student's t on the residuals of per-size means, at "
        f"{100 * study.confidence:.0f} %; they cover noise between sizes, not a wrong form.",
        "Settings of different sources, series or protocols are never fitted or compared together.",
        *sharing((one.method for one in study.settings), "methods"),
        *map(_left_out, study.left_out),
        *_readings_of_bits(study),
        *_competing(study),
        *_not_fitted(study),
    ]
    notes = [f"{one.source}, {label(one)}: {note}." for one in study.settings for note in one.notes]
    return tuple(dict.fromkeys([*said, *(notes if len(notes) <= _NOTES else [])]))


def _weak(study: Study) -> list[str]:
    chosen = [law for law in study.laws if law.chosen]
    if not chosen:
        return ["No setting has the three sizes that a law needs."]
    sizes = _counted({len(study.settings[law.setting].points) for law in chosen})
    own = {law.dof for law in chosen if law.form in OWN_FORMS}
    shared = {law.dof for law in chosen if law.form not in OWN_FORMS}
    said = []
    if own:
        said.append(f"{sizes} sizes a setting leave {_freedom(own)}")
    if shared:
        start = "laws that share an exponent" + ("" if own else f" over {sizes} sizes a setting")
        said.append(
            f"{start} among precisions have {_freedom(shared)}, but the same networks stand behind "
            "each precision"
        )
    return [f"Fits are weak: {'; '.join(said)}. An exponent means nothing without its interval."]


def _freedom(counts: set[int]) -> str:
    return f"{_counted(counts)} degree{'' if counts == {1} else 's'} of freedom"


def _counted(counts: set[int]) -> str:
    return " or ".join(map(str, sorted(counts)))


def _left_out(one: LeftOutEntry) -> str:
    why = (
        ", since such a distance falls with the number of samples"
        if one.metric in BIASED
        else ", which most cells have"
    )
    cells = f"{one.cells} cell{'s' if one.cells > 1 else ''}"
    return (
        f"{one.series} ({one.source}): {metric_name(one.metric)} of {cells} over n = "
        f"{one.samples:,} is left out beside n = {one.kept:,}{why}."
    )


def _readings_of_bits(study: Study) -> list[str]:
    said = [
        "Bits are nominal, width times parameters; scales and leftovers at 16 bits come on top."
        if study.accounting == "nominal"
        else "Bits are actual: scales, zero points and 16-bit leftovers included."
    ]
    if any(one.w_bits > FULL_BITS for one in study.settings):
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
    known = {law.setting for law in study.laws if law.chosen}
    rest: dict[str, list[int]] = {}
    for one in study.settings:
        if one.setting not in known:
            rest.setdefault(one.series, []).append(len(one.points))
    return [
        f"{series}: {len(counts)} setting{'s have' if len(counts) > 1 else ' has'} too few sizes "
        f"for a law, at most {max(counts)} where it takes three."
        for series, counts in rest.items()
    ]
