"""What quantizing changes of a model's own full precision: how families without laws are compared.

Two sizes make no law, hence no bits at equal quality. What they do tell is the metric of a
quantized model against that of the very same model in full precision:

    r = Q / Q_full      for distances, as a geometric mean over models
    d = Q - Q_full      for losses, in their own unit, as a mean over models

Raw quality, which is a matter of training, cancels in both.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from bitscape.laws.choice import Fitted
from bitscape.laws.results import ChangeEntry, ModelChange
from bitscape.laws.settings import Setting, ladder_of
from bitscape.laws.table import Row

LOSSES = frozenset({"nll", "denoising_loss"})

Kind = Literal["ratio", "difference"]


class _Change(NamedTuple):
    """A change, in logarithm where it is a ratio, and its standard error."""

    value: float
    error: float | None


def changes(fitted: Sequence[Fitted], runs: Sequence[Sequence[Row]]) -> tuple[ChangeEntry, ...]:
    """An entry for each quantized setting with a model that was measured in full precision too.

    `runs` are the rows of each setting, in the order of `fitted`. A model's full precision is what
    its own record measured beside it, else the rows of that model in the same ladder.
    """
    found = []
    references = _references(runs)
    for index, (one, rows) in enumerate(zip(fitted, runs, strict=True)):
        if not one.setting.full_precision:
            entry = _entry(index, one.setting, rows, references)
            found += [] if entry is None else [entry]
    return tuple(found)


References = dict[tuple[object, ...], float]


def _references(runs: Iterable[Sequence[Row]]) -> References:
    """By ladder and model, and by table too, the geometric mean of its full precision."""
    logs: dict[tuple[object, ...], list[float]] = {}
    for rows in runs:
        for row in rows:
            if row.full_precision:
                for key in _keys(row):
                    logs.setdefault(key, []).append(math.log(row.value))
    return {key: math.exp(float(np.mean(values))) for key, values in logs.items()}


def _keys(row: Row) -> tuple[tuple[object, ...], ...]:
    """The reference of a row's own table goes before that of any table."""
    return (ladder_of(row), row.model, row.table), (ladder_of(row), row.model)


def _entry(
    index: int, setting: Setting, rows: Sequence[Row], references: References
) -> ChangeEntry | None:
    kind: Kind = "difference" if setting.ladder.metric in LOSSES else "ratio"
    models: dict[str, list[_Change]] = {}
    for row in rows:
        full = row.full or next((references[key] for key in _keys(row) if key in references), None)
        if full is not None:
            models.setdefault(row.model, []).append(_of_row(row, full, kind))
    if not models:
        return None
    each = {model: _of_model(several) for model, several in models.items()}
    said = {model: _told(one, kind) for model, one in each.items()}
    whole = _told(_mean(list(each.values())), kind)
    return ChangeEntry(
        setting=index,
        source=setting.ladder.source,
        series=setting.ladder.series,
        family=setting.family,
        method=setting.method,
        scheme=setting.scheme,
        kind=kind,
        change=whole.value,
        error=whole.error,
        models=tuple(
            ModelChange(model=model, change=one.value, error=one.error)
            for model, one in said.items()
        ),
    )


def _of_row(row: Row, full: float, kind: Kind) -> _Change:
    if kind == "difference":
        return _Change(row.value - full, row.error)
    # Paired errors are of Q - Q_full with Q_full as it was drawn, hence of log r over Q.
    return _Change(math.log(row.value / full), None if row.error is None else row.error / row.value)


def _of_model(runs: Sequence[_Change]) -> _Change:
    """The mean of runs of one model: repeating them averages their spread, not their images."""
    values = [one.value for one in runs]
    images = [one.error for one in runs if one.error is not None]
    parts = [float(np.std(values, ddof=1)) / len(values) ** 0.5] if len(values) > 1 else []
    parts += [float(np.sqrt(np.mean(np.square(images))))] if images else []
    return _Change(float(np.mean(values)), math.hypot(*parts) if parts else None)


def _mean(models: Sequence[_Change]) -> _Change:
    errors = [one.error for one in models if one.error is not None]
    error = math.hypot(*errors) / len(models) if len(errors) == len(models) else None
    return _Change(float(np.mean([one.value for one in models])), error)


def _told(one: _Change, kind: Kind) -> _Change:
    """Out of the logarithm, with the error carried along."""
    if kind == "difference":
        return one
    ratio = math.exp(one.value)
    return _Change(ratio, None if one.error is None else ratio * one.error)
