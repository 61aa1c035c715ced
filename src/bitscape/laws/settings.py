"""Settings: one method at one precision over the sizes of one series, from one source."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from bitscape.laws.table import HIGHER_IS_BETTER, Number, Row, is_full_precision

Axis = Literal["model-bits", "compute-bits"]
Accounting = Literal["nominal", "actual"]
Vector = NDArray[np.float64]


class Ladder(NamedTuple):
    """What must agree before two settings may be compared; a law never mixes two ladders."""

    source: str
    series: str
    metric: str
    protocol: str


class Point(NamedTuple):
    """One model of a setting: its costs in 1e9 bits, and its quality over `repeats` runs.

    `actual_bits` counts scales and leftovers too, whatever `model_bits` counts; None if unknown.
    """

    model: str
    parameters: int
    bits: float
    model_bits: float
    compute_bits: float
    quality: float
    repeats: int
    actual_bits: float | None


class Setting(NamedTuple):
    """The points of one setting in order of size; `bits` is their cost on the chosen axis."""

    ladder: Ladder
    family: str
    table: str
    method: str
    scheme: str
    w_bits: Number
    a_bits: Number
    notes: tuple[str, ...]
    points: tuple[Point, ...]

    @property
    def bits(self) -> Vector:
        """Cost of each point."""
        return np.array([point.bits for point in self.points])

    @property
    def quality(self) -> Vector:
        """Quality of each point."""
        return np.array([point.quality for point in self.points])

    @property
    def parameters(self) -> Vector:
        """Parameters of each point, in 1e9."""
        return np.array([point.parameters / 1e9 for point in self.points])

    @property
    def full_precision(self) -> bool:
        """Whether nothing was quantized."""
        return is_full_precision(self.w_bits, self.a_bits)

    @property
    def label(self) -> str:
        """ "topkld W4A16", and for full precision its name alone."""
        return self.method if self.full_precision else f"{self.method} {self.scheme}"

    def without(self, size: int) -> "Setting":
        """The setting less the points with `size` parameters."""
        kept = tuple(point for point in self.points if point.parameters != size)
        return self._replace(points=kept)


def settings_of(
    rows: Sequence[Row], axis: Axis, metric: str, accounting: Accounting = "nominal"
) -> list[Setting]:
    """The settings of `rows` in order of appearance.

    Runs of one size (seeds, repeated trainings) become one point: the geometric mean, because the
    laws are fitted to logarithms. ValueError for a metric that rises or that no row has.
    """
    if axis not in get_args(Axis):
        raise ValueError(f"unknown axis {axis!r}: choose of {', '.join(get_args(Axis))}")
    if metric in HIGHER_IS_BETTER:
        raise ValueError(f"{metric} is better when higher; laws describe metrics that fall: fid")
    groups = runs_of(rows, metric)
    if not groups:
        found = ", ".join(sorted({row.metric for row in rows} - HIGHER_IS_BETTER)) or "none"
        raise ValueError(f"no row measures {metric!r}: the table has {found}")
    return [_setting(group, axis, accounting) for group in groups]


def runs_of(rows: Sequence[Row], metric: str) -> list[list[Row]]:
    """The rows of each setting, in the order of `settings_of`."""
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        if row.metric == metric:
            key = ladder_of(row), row.table, row.method, row.scheme
            groups.setdefault(key, []).append(row)
    return list(groups.values())


def ladder_of(row: Row) -> Ladder:
    """The ladder of a row; its protocol names the number of samples."""
    counted = [] if row.samples is None else [f"n = {row.samples}"]
    protocol = ", ".join([*([row.protocol] if row.protocol else []), *counted])
    return Ladder(row.source, row.series, row.metric, protocol)


def _setting(rows: Sequence[Row], axis: Axis, accounting: Accounting) -> Setting:
    sizes: dict[int, list[Row]] = {}
    for row in rows:
        sizes.setdefault(row.parameters, []).append(row)
    first = rows[0]
    return Setting(
        ladder=ladder_of(first),
        family=first.family,
        table=first.table,
        method=first.method,
        scheme=first.scheme,
        w_bits=first.w_bits,
        a_bits=first.a_bits,
        notes=tuple(dict.fromkeys(row.note for row in rows if row.note)),
        points=tuple(_point(sizes[size], axis, accounting) for size in sorted(sizes)),
    )


def _point(rows: Sequence[Row], axis: Axis, accounting: Accounting) -> Point:
    model_bits = [_stored(row, accounting) for row in rows]
    compute = [row.compute_bits for row in rows]
    actual = [row.actual_bits for row in rows if row.actual_bits is not None]
    return Point(
        model=rows[0].model,
        parameters=rows[0].parameters,
        bits=_geometric(model_bits if axis == "model-bits" else compute),
        model_bits=_geometric(model_bits),
        compute_bits=_geometric(compute),
        quality=_geometric([row.value for row in rows]),
        repeats=len(rows),
        actual_bits=_geometric(actual) if len(actual) == len(rows) else None,
    )


def _stored(row: Row, accounting: Accounting) -> float:
    if accounting == "nominal":
        return row.model_bits
    if row.actual_bits is None:
        raise ValueError(f"{row.source} counts no actual bits of {row.model}: use nominal ones")
    return row.actual_bits


def _geometric(values: Sequence[float]) -> float:
    return (
        values[0] if len(values) == 1 else math.exp(math.fsum(map(math.log, values)) / len(values))
    )
