"""How many samples: what n images, losses or tokens say is not pooled with what others say."""

from collections.abc import Iterable, Sequence

from bitscape.laws.results import LeftOutEntry
from bitscape.laws.table import Row

BIASED = frozenset({"fid", "sfid", "fd_shapes", "fd_latent"})
"""Distances between fitted distributions: they fall with n even for a perfect sampler."""

_SIZES = 3
# A frontier measured again with more images must not push out the study that found it.
_FEW = 4


def alike(rows: Iterable[Row]) -> tuple[list[Row], list[LeftOutEntry]]:
    """Of each metric the rows over one number of samples, and what is left out for that.

    Series, sources and protocols choose their n apart: the one that most cells have, the greatest
    of several. Seeds of a cell count once. Of a metric that is biased in n it is the greatest n
    with a law of full precision and others beside it, or where no n has both, with any law, unless
    another n has more than four times as many laws. Rows that do not count their samples all stay.
    """
    rows = list(rows)
    groups: dict[tuple[str, str, str, str], dict[int, list[Row]]] = {}
    for row in rows:
        if row.samples is not None:
            groups.setdefault(_key(row), {}).setdefault(row.samples, []).append(row)
    chosen = {key: _chosen(key[2], group) for key, group in groups.items()}
    left = [
        LeftOutEntry(
            source=key[0],
            series=key[1],
            metric=key[2],
            protocol=key[3],
            samples=samples,
            kept=chosen[key],
            cells=len(_cells(found)),
        )
        for key, group in groups.items()
        for samples, found in sorted(group.items())
        if samples != chosen[key]
    ]
    return [row for row in rows if row.samples in (None, chosen.get(_key(row)))], left


def _key(row: Row) -> tuple[str, str, str, str]:
    return row.source, row.series, row.metric, row.protocol


def _chosen(metric: str, group: dict[int, list[Row]]) -> int:
    if metric in BIASED:
        laws = {samples: _with_law(rows) for samples, rows in group.items()}
        both = {samples: found for samples, found in laws.items() if len(set(found)) == 2}
        either = both or {samples: found for samples, found in laws.items() if found}
        if either:
            most = max(map(len, either.values()))
            return max(n for n, found in either.items() if _FEW * len(found) >= most)
    return max(group, key=lambda samples: (len(_cells(group[samples])), samples))


def _cells(rows: Sequence[Row]) -> set[tuple[str, str, str]]:
    return {(row.model, row.method, row.scheme) for row in rows}


def _with_law(rows: Sequence[Row]) -> list[bool]:
    """Of each setting with enough sizes, whether it is full precision."""
    sizes: dict[tuple[bool, str, str], set[int]] = {}
    for row in rows:
        sizes.setdefault((row.full_precision, row.method, row.scheme), set()).add(row.parameters)
    return [full for (full, *_), found in sizes.items() if len(found) >= _SIZES]
