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
from bitscape.laws.frontier import times_beyond
from bitscape.laws.law import CONFIDENCE, Law
from bitscape.laws.results import RelativeEntry

FARTHEST = 10.0
"""A full-precision law is not read at more than this many times its bits, or below their share."""


def relative(fitted: Sequence[Fitted]) -> tuple[RelativeEntry, ...]:
    """An entry for each quantized setting whose family has a full-precision law.

    Sizes whose quality that law reaches nowhere near its own sizes are counted as `lost`.
    """
    settings = [one.setting for one in fitted]
    found = []
    for index, one in enumerate(fitted):
        reference = full_precision_of(one.setting, settings)
        full = next((each for each in fitted if each.setting is reference), None)
        if not one.setting.full_precision and full is not None and full.law is not None:
            found.append(_entry(index, one, full, full.law))
    return tuple(found)


def _entry(index: int, one: Fitted, full: Fitted, law: Law) -> RelativeEntry:
    setting = one.setting
    low, high = full.setting.bits.min() / FARTHEST, full.setting.bits.max() * FARTHEST
    same = [(point.bits, law.bits_at(point.quality)) for point in setting.points]
    read = [(own, bits) for own, bits in same if bits and low <= bits <= high]
    logs = [math.log(own / bits) for own, bits in read]
    beyond = max((times_beyond(full, bits) for _, bits in read), default=1.0)
    return RelativeEntry(
        setting=index,
        source=setting.ladder.source,
        series=setting.ladder.series,
        method=setting.method,
        scheme=setting.scheme,
        sizes=len(logs),
        lost=len(same) - len(logs),
        ratio=math.exp(np.mean(logs)) if logs else None,
        ratio_ci=_interval(logs),
        extrapolated=beyond > 1,
        times_beyond=beyond,
    )


def _interval(logs: Sequence[float]) -> tuple[float, float] | None:
    """Student's interval of the geometric mean over sizes; None below two sizes."""
    if len(logs) < 2:
        return None
    center, error = float(np.mean(logs)), float(np.std(logs, ddof=1)) / math.sqrt(len(logs))
    half = float(stdtrit(len(logs) - 1, (1 + CONFIDENCE) / 2)) * error
    return math.exp(center - half), math.exp(min(center + half, 50.0))
