"""The numbers of one run record: each metric with its samples, its partner and its error."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from bitscape.laws.records import Quality


class Measured(NamedTuple):
    """One metric: its value over `samples`, and beside it the same model's full precision.

    `error` is the standard error of value minus `full`, over images where they are paired and over
    the seeds of sampling otherwise; both are None where the record does not hold them.
    """

    metric: str
    value: float
    samples: int
    full: float | None
    error: float | None


def measured_values(quality: Quality) -> list[Measured]:
    """The metrics with a positive value, plain or as the mean over their samples."""
    partners = quality.metrics.get("full_precision")
    found = []
    for metric, content in quality.metrics.items():
        value = _value(content)
        if value is not None:
            samples = content.get("n") if isinstance(content, dict) else None
            found.append(
                Measured(
                    metric=metric,
                    value=value,
                    samples=samples if isinstance(samples, int) else quality.n,
                    full=_value(partners.get(metric)) if isinstance(partners, dict) else None,
                    error=_error(content) if isinstance(content, dict) else None,
                )
            )
    return found


def _value(content: object) -> float | None:
    value = content.get("mean") if isinstance(content, dict) else content
    return value if isinstance(value, float) and 0 < value < float("inf") else None


def _error(content: Mapping[str, Any]) -> float | None:
    """Of the paired difference: as recorded, or its deviation over the root of its seeds."""
    difference = content.get("difference")
    if not isinstance(difference, dict):
        return None
    error, deviation = difference.get("standard_error"), difference.get("std")
    if isinstance(error, float):
        return error
    seeds = content.get("values")
    if isinstance(deviation, float) and isinstance(seeds, list) and len(seeds) > 1:
        return float(deviation / len(seeds) ** 0.5)
    return None
