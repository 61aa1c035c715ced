"""Styles beside each other: equal settings in several series of one source and protocol."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeVar

from bitscape.laws.results import ChangeEntry, RelativeEntry, Study
from bitscape.laws.words import label, metric_name

OUTPUTS: Mapping[str, Literal["discrete", "continuous"]] = {
    "var": "discrete",
    "llamagen": "discrete",
    "rar": "discrete",
    "par": "discrete",
    "dit": "continuous",
    "largedit": "continuous",
    "mar": "continuous",
    "unet": "continuous",
}
"""What the network of each family of `models` predicts: codes of a codebook, or numbers.

`Adapter.discrete` says the same where there is torch. It is no matter of how a trajectory goes:
MAR is autoregressive and continuous. Published rows of other families are not in the table, and
nothing is said of them."""

Entry = TypeVar("Entry", RelativeEntry, ChangeEntry)


class Comparison(NamedTuple):
    """Settings of one source and protocol, by label, that several of its series have.

    `bits` compares them by the bits over those of full precision, `changes` by what quantizing
    changes of each model's metric. Only `changes` holds series with too few sizes for laws.
    """

    source: str
    protocol: str
    bits: dict[str, list[RelativeEntry]]
    changes: dict[str, list[ChangeEntry]]

    @property
    def lawless(self) -> bool:
        """Whether a series is compared by its changes alone."""
        told = {one.series for several in self.bits.values() for one in several}
        return any(one.series not in told for several in self.changes.values() for one in several)


def comparable(study: Study) -> list[Comparison]:
    """The comparisons of styles: a source and a protocol each, settings in order.

    Bits are compared where every size of a setting has a reading.
    """
    known = [one for one in study.relative if one.ratio is not None and not one.lost]
    groups = dict.fromkeys((one.ladder.source, one.ladder.protocol) for one in study.settings)
    found = [
        Comparison(*group, _shared(study, known, group), _shared(study, study.changes, group))
        for group in groups
    ]
    return [one for one in found if one.bits or one.changes]


def styles(study: Study) -> list[str]:
    """What equal settings cost in several series, each in units of its own full precision."""
    return [said for one in comparable(study) for said in sentences(study, one)]


def sentences(study: Study, one: Comparison) -> list[str]:
    """One sentence a setting: in bits, and in changes where a series has no law to give bits."""
    metric, start = metric_name(study.metric), heading(study, one)
    said = [
        f"{start}: {name} takes, of its own full precision's bits for the same {metric}, "
        f"{', '.join(f'{_bits(entry)} in {entry.series}' for entry in several)}."
        for name, several in one.bits.items()
    ]
    if not one.lawless:
        return said
    return said + [
        f"{start}: {name} {_verb(several[0], metric)} "
        f"{', '.join(f'{_change(entry)} in {_styled(entry)}' for entry in several)}."
        for name, several in one.changes.items()
    ]


def heading(study: Study, one: Comparison) -> str:
    """The source, and the protocol too where several protocols of it are compared."""
    alike = [other for other in comparable(study) if other.source == one.source]
    return one.source if len(alike) < 2 else f"{one.source}, {one.protocol}"


def _shared(
    study: Study, entries: Iterable[Entry], group: tuple[str, str]
) -> dict[str, list[Entry]]:
    """The entries of one source and protocol by label, of labels that several series have.

    Of several readings of a setting, the one with the most sizes counts, the first on ties.
    """
    found: dict[str, dict[str, Entry]] = {}
    for one in entries:
        setting = study.settings[one.setting]
        if (setting.source, setting.protocol) == group:
            own = found.setdefault(label(setting), {})
            known = own.setdefault(one.series, one)
            if len(setting.points) > len(study.settings[known.setting].points):
                own[one.series] = one
    return {name: list(own.values()) for name, own in found.items() if len(own) > 1}


def _bits(one: RelativeEntry) -> str:
    ends = [] if one.ratio_ci is None else [f"{one.ratio_ci[0]:.2f} to {one.ratio_ci[1]:.2f}"]
    far = [f"extrapolated {one.times_beyond:.2g} times"] if one.extrapolated else []
    told = ", ".join([*ends, *far])
    return f"{one.ratio:.2f}" + (f" ({told})" if told else "")


def _verb(one: ChangeEntry, metric: str) -> str:
    if one.kind == "ratio":
        return f"multiplies the {metric} of the same model by"
    return f"changes the {metric} of the same model by"


def _change(one: ChangeEntry) -> str:
    sign = "+" if one.kind == "difference" else ""
    error = "" if one.error is None else f" (error {one.error:.2g})"
    return f"{one.change:{sign}.3g}{error}"


def _styled(one: ChangeEntry) -> str:
    count = len(one.models)
    output = [OUTPUTS[one.family]] if one.family in OUTPUTS else []
    sizes = f"{count} model{'s' if count > 1 else ''}"
    return f"{one.series} ({', '.join([*output, sizes])})"
