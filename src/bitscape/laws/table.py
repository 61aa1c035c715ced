"""One table for everything a law is fitted to: run records, CSV files and published results.

A row is one measured number: a model, a setting (method and bit widths), what it costs on each
axis, one metric, and where the number comes from.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bitscape.laws.measured import measured_values
from bitscape.laws.records import RECORDS, RunRecord, load

UNIT = 1e9
FULL_BITS = 16
REQUIRED = ("model", "family", "params", "method", "w_bits", "a_bits", "metric", "value")

HIGHER_IS_BETTER = frozenset(
    {"is", "precision", "recall", "class_accuracy", "psnr", "ssim", "token_agreement"}
)
"""Metrics that a falling power law does not describe."""

SURPLUS = "beyond the last column"
"""Under which the reader keeps cells that no column names."""

Number = int | float


class Row(NamedTuple):
    """One measured number. Bits are in units of 1e9; `actual_bits` is None where nobody counted.

    `series` groups models that differ by size alone: one network at two degrees of parallel
    decoding is two series. `source` is a paper, or the file the row was read from. `samples` is the
    number of images or losses behind the value where `protocol` does not say it, `full` the same
    model's full precision on the same draws, and `error` the standard error of their difference.
    """

    source: str
    table: str
    model: str
    family: str
    series: str
    parameters: int
    method: str
    scheme: str
    w_bits: Number
    a_bits: Number
    metric: str
    value: float
    protocol: str
    note: str
    model_bits: float
    actual_bits: float | None
    compute_bits: float
    samples: int | None = None
    full: float | None = None
    error: float | None = None

    @property
    def full_precision(self) -> bool:
        """Whether nothing was quantized."""
        return is_full_precision(self.w_bits, self.a_bits)


def read_table(path: Path) -> list[Row]:
    """The rows of a CSV file, of a file of run records, or of a sweep's folder.

    A CSV is UTF-8, with or without a byte order mark. FileNotFoundError when there is none;
    ValueError naming line and column for a wrong one.
    """
    if path.is_dir():
        path = path / RECORDS
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: give a sweep's folder, its records, a CSV")
    if path.suffix.lower() == ".csv":
        return read_csv(io.StringIO(_text(path), newline=""), str(path))
    return from_records(load(path), str(path))


def read_csv(lines: Iterable[str], name: str) -> list[Row]:
    """The rows of a CSV with the columns `REQUIRED`.

    `source` (default: the file), `table`, `series` (default: the family), `scheme`, `protocol`,
    `note`, `model_bits`, `actual_bits` and `compute_bits` (absolute; default: nominal) may follow.
    ValueError for a column that is missing, and naming the line for one with a cell too many, an
    empty cell of `REQUIRED`, or a number that is not positive.
    """
    reader = csv.DictReader(lines, restkey=SURPLUS)
    found = list(reader.fieldnames or ())
    missing = [column for column in REQUIRED if column not in found]
    if missing:
        alike = [column for column in found if column.strip().lower() == missing[0]] or found
        raise ValueError(
            f"{name}: no column {missing[0]!r}, found {', '.join(map(repr, alike)) or 'nothing'}; "
            f"the first line names the columns {','.join(REQUIRED)}"
        )
    rows = []
    for line in reader:
        # Lines that are blank are skipped, and a quoted text may hold several.
        place = f"{name}, line {reader.line_num}"
        rows.append(_from_csv(_complete(line, len(found), place), name, place))
    return rows


def from_records(records: Iterable[RunRecord], source: str) -> list[Row]:
    """A row for each metric of each finished record; failed runs have none."""
    return [row for record in records for row in _from_record(record, source)]


def is_full_precision(w_bits: Number, a_bits: Number) -> bool:
    """Whether nothing was quantized."""
    return min(w_bits, a_bits) >= FULL_BITS


def nominal_bits(parameters: int, w_bits: Number) -> float:
    """b_w N in units of 1e9. Float weights count 16 bits: storing float32 in half loses nothing."""
    return parameters * min(w_bits, FULL_BITS) / UNIT


def nominal_compute(parameters: int, w_bits: Number, a_bits: Number) -> float:
    """b_w b_a N in units of 1e9, floats at 16 bits."""
    return nominal_bits(parameters, w_bits) * min(a_bits, FULL_BITS)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: save it as CSV UTF-8") from error


def _complete(line: dict[str, Any], columns: int, place: str) -> dict[str, str]:
    """The cells of a line, none too many and none of `REQUIRED` empty."""
    surplus = line.get(SURPLUS, ())
    if surplus:
        raise ValueError(
            f"{place}: {columns + len(surplus)} cells for {columns} columns: write decimals with "
            "a point, and quote a text that holds a comma"
        )
    for column in REQUIRED:
        if not line[column]:
            raise ValueError(f"{place}: {column} is empty")
    return line


def _from_csv(line: Mapping[str, str], name: str, place: str) -> Row:
    parameters = int(_positive(line, "params", place))
    w_bits, a_bits = (_tidy(_positive(line, column, place)) for column in ("w_bits", "a_bits"))

    def bits(column: str, default: float | None) -> float | None:
        return _positive(line, column, place) / UNIT if line.get(column) else default

    nominal = nominal_bits(parameters, w_bits)
    compute = nominal_compute(parameters, w_bits, a_bits)
    return Row(
        source=line.get("source") or name,
        table=line.get("table") or "",
        model=line["model"],
        family=line["family"],
        series=line.get("series") or line["family"],
        parameters=parameters,
        method=line["method"],
        scheme=line.get("scheme") or f"W{w_bits}A{a_bits}",
        w_bits=w_bits,
        a_bits=a_bits,
        metric=line["metric"],
        value=_positive(line, "value", place),
        protocol=line.get("protocol") or "",
        note=line.get("note") or "",
        model_bits=bits("model_bits", nominal) or nominal,
        actual_bits=bits("actual_bits", None),
        compute_bits=bits("compute_bits", compute) or compute,
    )


def _positive(line: Mapping[str, str], column: str, place: str) -> float:
    try:
        number = float(line[column])
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError(f"{place}: {column} is {line[column]!r}, which must be a positive number")
    return number


def _tidy(number: float) -> Number:
    return int(number) if number == int(number) else number


def _from_record(record: RunRecord, source: str) -> list[Row]:
    bits, quality = record.bits, record.quality
    if bits is None or quality is None or record.method is None or record.scheme is None:
        return []
    if record.family is None or record.parameters is None:
        raise ValueError(f"{source}: record {record.key} names no family or parameters: run again")
    sampler = record.evaluation.get("sampler") or {}
    options = "".join(f", {key} {sampler[key]}" for key in sorted(sampler))
    return [
        Row(
            source=source,
            table="",
            model=record.model,
            family=record.family,
            series=series_of(record.model, record.family),
            parameters=record.parameters,
            method=record.method,
            scheme=record.scheme,
            w_bits=_tidy(round(bits.nominal_weight, 3)),
            a_bits=activation_bits(record.scheme),
            metric=one.metric,
            value=one.value,
            protocol=f"{quality.protocol}{options}",
            note="",
            model_bits=bits.nominal_model / UNIT,
            actual_bits=bits.actual_model / UNIT,
            compute_bits=bits.compute / UNIT,
            samples=one.samples,
            full=one.full,
            error=one.error,
        )
        for one in measured_values(quality)
    ]


def series_of(model: str, family: str) -> str:
    """The family, with what a model's name says beyond its size and its training seed.

    "zoo:var-s" and "zoo:var-s-seed1" are "var", "zoo:var-l-outlier" is "var-outlier".
    """
    _, *variant = model.split(":")[-1].removeprefix(f"{family}-").split("-")
    kept = [word for word in variant if not re.fullmatch(r"seed\d+", word)]
    return "-".join([family, *kept])


def activation_bits(scheme: str) -> Number:
    """Bits of an activation in the scheme's default: W4A8 -> 8, We2m1Ae4m3 -> 8, FP8 -> 8."""
    default = scheme.split("/")[0].upper()
    if found := re.match(r"W\w+?A(\d+)(?![A-Z0-9])", default):
        return int(found[1])
    if found := re.match(r"W\w+?AE(\d)M(\d)", default):
        return 1 + int(found[1]) + int(found[2])
    if found := re.match(r"(?:MX|NV)?FP(\d)", default):
        return int(found[1])
    return FULL_BITS
