"""What a setting costs in units of its own family's full precision: how styles are compared.

The raw quality of a discrete and of a continuous family is a matter of their training; the ratio

    r = B / B_full(Q),    Q the quality reached with B bits,

with B_full the inverse of the same family's full-precision law, is not. Below 1 quantizing pays.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from bitscape.laws.choice import Fitted, full_precision_of
from bitscape.laws.findings import label, metric_name
from bitscape.laws.law import CONFIDENCE
from bitscape.laws.results import RelativeEntry, Study

FARTHEST = 10.0
"""A full-precision law is not read at more than this many times its bits, or below their share."""


def relative(fitted: Sequence[Fitted]) -> tuple[RelativeEntry, ...]:
    """An entry for each quantized setting whose family has a full-precision law.

    Sizes whose quality that law reaches nowhere near its own sizes are counted as `lost`.
    """
    settings = [one.setting for one in fitted]
    found = []
    for index, one in enumerate(fitted):
        setting = one.setting
        reference = full_precision_of(setting, settings)
        full = next((each for each in fitted if each.setting is reference), None)
        if setting.full_precision or full is None or full.law is None:
            continue
        low, high = full.setting.bits.min() / FARTHEST, full.setting.bits.max() * FARTHEST
        same = [(point, full.law.bits_at(point.quality)) for point in setting.points]
        logs = [math.log(p.bits / bits) for p, bits in same if bits and low <= bits <= high]
        found.append(
            RelativeEntry(
                setting=index,
                source=setting.ladder.source,
                series=setting.ladder.series,
                method=setting.method,
                scheme=setting.scheme,
                sizes=len(logs),
                lost=len(same) - len(logs),
                ratio=math.exp(np.mean(logs)) if logs else None,
                ratio_ci=_interval(logs),
            )
        )
    return tuple(found)


def comparable(study: Study) -> dict[str, dict[str, list[RelativeEntry]]]:
    """Of each source its settings, by label, that several of its series have at every size."""
    sources: dict[str, dict[str, list[RelativeEntry]]] = {}
    for one in study.relative:
        if one.ratio is not None and not one.lost:
            groups = sources.setdefault(one.source, {})
            groups.setdefault(label(study.settings[one.setting]), []).append(one)
    for groups in sources.values():
        for name, several in list(groups.items()):
            if len({one.series for one in several}) < 2:
                del groups[name]
    return {source: groups for source, groups in sources.items() if groups}


def styles(study: Study) -> list[str]:
    """What equal settings cost in several series of one source, each in its own full precision."""
    return [
        f"{source}: {name} takes, of its own full precision's bits for the same "
        f"{metric_name(study.metric)}, "
        + ", ".join(f"{one.ratio:.2f}{_ends(one)} in {one.series}" for one in several)
        + "."
        for source, groups in comparable(study).items()
        for name, several in groups.items()
    ]


def _ends(one: RelativeEntry) -> str:
    return "" if one.ratio_ci is None else f" ({one.ratio_ci[0]:.2f} to {one.ratio_ci[1]:.2f})"


def _interval(logs: Sequence[float]) -> tuple[float, float] | None:
    """Student's interval of the geometric mean over sizes; None below two sizes."""
    if len(logs) < 2:
        return None
    center, error = float(np.mean(logs)), float(np.std(logs, ddof=1)) / math.sqrt(len(logs))
    half = float(stdtrit(len(logs) - 1, (1 + CONFIDENCE) / 2)) * error
    return math.exp(center - half), math.exp(min(center + half, 50.0))
