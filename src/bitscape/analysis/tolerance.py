"""What a single noisy answer does to the result, and whether early noise builds up."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from bitscape.analysis.trace import Path, Subject, distance, noise_at, run

LEVELS = (40.0, 35.0, 30.0, 25.0, 20.0, 15.0, 10.0, 5.0, 0.0)
_PLACES = (0.1, 0.5, 0.9)
_EARLY = 0.1


@dataclass(frozen=True)
class ToleranceStudy:
    """Relative change of the final latents with noise on the answer to one call.

    `losses[step][level][image]` belongs to `calls[step]` and `decibels[level]`, the signal-to-noise
    ratio. The correlations are between noise and loss, both as amplitudes, over the levels, as
    means over calls and images; null where nothing ever changed. `flat` is the share of steps from
    one level to the next, in single images, that changed nothing: the treads of a staircase.
    """

    calls: list[int]
    decibels: list[float]
    losses: list[list[list[float]]]
    pearson: float | None
    spearman: float | None
    flat: float
    summary: str


@dataclass(frozen=True)
class AccumulationStudy:
    """Relative change of what is handed on after each call, with noise on the first answers only.

    `noisy` of all calls had noise of `decibels`; `share` is what part that is.
    """

    noisy: int
    share: float
    decibels: float
    errors: list[float]
    growth: float | None
    summary: str


def tolerance_study(
    subject: Subject, path: Path, decibels: Sequence[float] = LEVELS
) -> ToleranceStudy:
    """Noise on one early, one middle and one late call of the unchanged `path`, at each level."""
    count = len(path)
    calls = sorted({min(count - 1, int(place * count)) for place in _PLACES})
    losses = []
    for index in calls:
        rows = []
        for level in decibels:
            noisy = run(subject, {index: noise_at(subject, level, index)}, path)
            rows.append(distance(path.after(count - 1), noisy.after(count - 1)).tolist())
        losses.append(rows)
    noise = np.array([10 ** (-level / 20) for level in decibels])
    curves = np.array(losses).transpose(0, 2, 1).reshape(-1, len(noise))
    pearson = _mean_correlation(noise, curves)
    spearman = _mean_correlation(rankdata(noise), rankdata(curves, axis=1))
    flat = float((np.diff(curves, axis=1) == 0).mean())
    return ToleranceStudy(
        calls,
        list(decibels),
        losses,
        pearson,
        spearman,
        flat,
        _tolerance_words(calls, decibels, np.array(losses), (pearson, spearman), flat),
    )


def accumulation_study(subject: Subject, path: Path, decibels: float) -> AccumulationStudy:
    """Equal noise on the first tenth of the calls, rounded up, and none on the others."""
    count = len(path)
    noisy = math.ceil(_EARLY * count)
    changes = {index: noise_at(subject, decibels, index) for index in range(noisy)}
    changed = run(subject, changes, path)
    errors = [
        float(distance(path.after(i), changed.after(i)).mean()) for i in range(noisy - 1, count)
    ]
    growth = errors[-1] / errors[0] if errors[0] > 0 else None
    much = "from nothing" if growth is None else f"{growth:.3g}-fold"
    return AccumulationStudy(
        noisy,
        noisy / count,
        decibels,
        errors,
        growth,
        f"Noise of {decibels:g} dB on the first {noisy} of {count} calls ({noisy / count:.0%}) "
        f"changes the reconstruction by {errors[0]:.1%}; by the end, with no more noise, that "
        f"becomes {errors[-1]:.1%}, {much} ({max(errors):.1%} at most).",
    )


def _mean_correlation(x: np.ndarray, rows: np.ndarray) -> float | None:
    """The mean of Pearson's correlations of `x` with each row that is not constant."""
    centered = rows - rows.mean(axis=1, keepdims=True)
    sizes = np.linalg.norm(centered, axis=1)
    if not (sizes > 0).any():
        return None
    x = (x - x.mean()) / np.linalg.norm(x - x.mean())
    return float((centered[sizes > 0] @ x / sizes[sizes > 0]).mean())


def _tolerance_words(
    calls: Sequence[int],
    decibels: Sequence[float],
    losses: np.ndarray,
    found: tuple[float | None, float | None],
    flat: float,
) -> str:
    where = ", ".join(str(call + 1) for call in calls)
    least = f"Noise of {max(decibels):g} dB on one answer (call {where}) changes the result by "
    ends = f"{losses[:, 0].mean():.1%} and of {min(decibels):g} dB by {losses[:, -1].mean():.1%}"
    pearson, spearman = ("none" if value is None else f"{value:.2f}" for value in found)
    return (
        f"{least}{ends}; noise and loss correlate by {pearson} (Pearson) and {spearman} "
        f"(Spearman), and {flat:.0%} of the steps in noise change nothing at all."
    )
