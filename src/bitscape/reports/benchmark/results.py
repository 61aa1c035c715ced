"""What the records of a sweep say about each recipe on each model, over its calibration seeds."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bitscape.laws import RunRecord, order, shared_options, shortened
from bitscape.sweeps import FULL_PRECISION

UNITS = {"nll": "NLL, nats a token", "denoising_loss": "denoising loss, percent"}
"""The losses, and in what their rises are told."""
SEEDS = 3
"""Fewer calibration seeds decide nothing between two recipes."""
DISTANCES = 1000
"""A Fréchet distance of fewer images is a by-product of the losses and is left out."""


@dataclass(frozen=True)
class Rise:
    """How much greater a loss is than full precision's, with its standard error.

    With several calibration seeds the error holds the scatter of their mean and the noise of the
    images, which all seeds share; with one it holds the images alone.
    """

    mean: float
    error: float
    seeds: int


@dataclass(frozen=True)
class Mean:
    """A mean over calibration seeds and its standard error, None of a single seed."""

    value: float
    error: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """The mean of `values`, one a seed."""
        spread = float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else None
        return cls(float(np.mean(values)), spread)


@dataclass(frozen=True)
class Result:
    """One recipe on one model: by calibration seed the records of its losses and distances.

    `label` is what tables call the recipe, without what all recipes of the page share.
    """

    model: str
    recipe: str
    label: str
    scheme: str
    losses: Mapping[int, RunRecord]
    distances: Mapping[int, RunRecord]

    @property
    def name(self) -> str:
        """What tables call it."""
        return "full precision" if self.untouched else self.label

    @property
    def untouched(self) -> bool:
        """Whether this is full precision."""
        return self.recipe == FULL_PRECISION

    @property
    def records(self) -> list[RunRecord]:
        """All records it rests on."""
        return [*self.losses.values(), *self.distances.values()]

    @property
    def loss(self) -> tuple[str, Mapping[str, Any]]:
        """The name of its loss, and the loss itself as evaluated at the first seed."""
        return _loss(next(iter(self.losses.values())))

    @property
    def relative(self) -> bool:
        """Whether rises are told in percent of full precision: the scale of a squared error.

        Nats are a unit of their own.
        """
        return self.loss[0] == "denoising_loss"

    def rises(self) -> dict[int, tuple[float, float]]:
        """By seed: the paired difference to full precision over the images, and its error."""
        found = {}
        for seed, record in self.losses.items():
            loss = _loss(record)[1]
            unit = (loss["mean"] - loss["difference"]["mean"]) / 100 if self.relative else 1.0
            gap = loss["difference"]
            found[seed] = (gap["mean"] / unit, gap["standard_error"] / unit)
        return found

    def gaps(self) -> dict[int, float]:
        """The rises alone."""
        return {seed: gap for seed, (gap, _) in self.rises().items()}

    def agreement(self) -> tuple[Mean, Mean] | None:
        """Share of equal tokens and KL (nats a token) to full precision.

        None for full precision itself and for families without tokens.
        """
        found = [_metrics(record) for record in self.losses.values()]
        if any(metrics.get("kl") is None for metrics in found):
            return None
        shares = [metrics["token_agreement"]["mean"] for metrics in found]
        return Mean.of(shares), Mean.of([metrics["kl"]["mean"] for metrics in found])

    def distance(self) -> Mean | None:
        """FD-shapes, None where it was not measured.

        Images of all calibration seeds are drawn from the same noise: the error is the scatter of
        calibration or training, not that of the images.
        """
        found = self.away()
        return Mean.of(list(found.values())) if found else None

    def away(self) -> dict[int, float]:
        """FD-shapes by seed."""
        return {
            seed: _metrics(record)["fd_shapes"]["mean"] for seed, record in self.distances.items()
        }

    def rise(self) -> Rise:
        """The mean over seeds."""
        gaps = np.array(list(self.rises().values()))
        means, errors = gaps[:, 0], gaps[:, 1]
        scatter = means.std(ddof=1) / len(means) ** 0.5 if len(means) > 1 else 0.0
        return Rise(float(means.mean()), float(np.hypot(errors.mean(), scatter)), len(means))


def results(records: Iterable[RunRecord]) -> list[Result]:
    """One result for each model and recipe, family by family, small models first.

    Losses come from the records of the most frequent number of held-out images, so that all are of
    the same ones; distances from those with the most samples. What failed is in `failures`.
    """
    done = [record for record in records if record.status == "done"]
    if not done:
        return []
    counts = Counter(_images(record) for record in done)
    common = max(counts, key=lambda images: (counts[images], images))
    most = max(record.evaluation["n"] for record in done)
    shared = shared_options(record.recipe for record in done)
    pairs = dict.fromkeys((record.model, record.recipe) for record in done)
    found = []
    for model, recipe in pairs:
        mine = [record for record in done if (record.model, record.recipe) == (model, recipe)]
        # Of two records of one seed the one with more samples stays: their losses are the same.
        mine.sort(key=lambda record: record.evaluation["n"])
        losses = {r.seed: r for r in mine if _images(r) == common}
        far = {r.seed: r for r in mine if r.evaluation["n"] == most >= DISTANCES}
        if losses:
            by_seed = dict(sorted(losses.items())), dict(sorted(far.items()))
            label = shortened(recipe, shared)
            found.append(Result(model, recipe, label, mine[0].scheme or "", *by_seed))
    # An order of its own, because a run that was added to has its models in any.
    families = list(dict.fromkeys(record.family for record in done))

    def place(result: Result) -> tuple[int, int]:
        first = result.records[0]
        return families.index(first.family), first.parameters or 0

    return sorted(found, key=place)


def failures(records: Iterable[RunRecord]) -> dict[tuple[str, str, str], list[int]]:
    """The seeds of the runs that failed, by model, recipe and reason."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for record in records:
        if record.status == "failed":
            kind = (record.model, record.recipe, record.reason or "")
            found.setdefault(kind, []).append(record.seed)
    return found


def names(found: Sequence[Result]) -> list[str]:
    """Names of recipes: schemes in the order in which they were run, each one's recipes by name.

    A run that was added to has its recipes in another order for every model.
    """
    schemes = list(dict.fromkeys(result.scheme for result in found))
    pairs = {(schemes.index(result.scheme), result.name) for result in found}
    return [name for _, name in sorted(pairs, key=lambda pair: (pair[0], order(pair[1])))]


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> tuple[float, float] | None:
    """The mean difference of two quantities over common seeds and its standard error.

    None with fewer than three: seeds share the images, and two say nothing about their scatter.
    """
    gaps = np.array([ours[seed] - theirs[seed] for seed in ours if seed in theirs])
    if len(gaps) < SEEDS:
        return None
    return float(gaps.mean()), float(gaps.std(ddof=1) / len(gaps) ** 0.5)


def best(group: Sequence[Result], values: Callable[[Result], Mapping[int, float]]) -> list[Result]:
    """The result of the smallest mean value, and those whose distance to it is within two errors.

    `values` has what is compared of a result, by seed.
    """
    first = min(group, key=lambda result: np.mean(list(values(result).values())))
    found = [first]
    for result in group:
        gap = None if result is first else paired(values(result), values(first))
        if gap is not None and gap[0] <= 2 * gap[1]:
            found.append(result)
    return found


def _images(record: RunRecord) -> int:
    images: int = record.evaluation["losses"]
    return images


def _loss(record: RunRecord) -> tuple[str, Mapping[str, Any]]:
    metrics = _metrics(record)
    name = next(name for name in UNITS if metrics.get(name) is not None)
    return name, metrics[name]


def _metrics(record: RunRecord) -> Mapping[str, Any]:
    assert record.quality is not None
    return record.quality.metrics
