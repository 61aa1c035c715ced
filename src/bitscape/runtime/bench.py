"""Timing: medians of interleaved runs, so that a noisy machine is noisy for all candidates."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one call over repeated runs."""

    median: float
    p10: float
    p90: float
    runs: int


def compare(
    candidates: Mapping[str, Callable[[], object]], *, seconds: float = 1.0, warmup: int = 3
) -> dict[str, Latency]:
    """The latency of each candidate, called in turn until each had about `seconds` on average.

    Turn by turn, a slow second of a shared machine falls on all of them alike.
    """
    for fn in candidates.values():
        for _ in range(warmup):
            fn()
    times: dict[str, list[float]] = {name: [] for name in candidates}
    stop = time.perf_counter() + seconds * len(candidates)
    while time.perf_counter() < stop or not all(len(runs) >= 3 for runs in times.values()):
        for name, fn in candidates.items():
            start = time.perf_counter()
            fn()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: _summary(runs) for name, runs in times.items()}


def _summary(milliseconds: list[float]) -> Latency:
    p10, median, p90 = np.percentile(milliseconds, [10, 50, 90])
    return Latency(float(median), float(p10), float(p90), len(milliseconds))
