"""The tables of a benchmark page, in Markdown: a row for each recipe, a column for each model."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from bitscape.laws import sharing
from bitscape.reports.benchmark.results import SEEDS, UNITS, Mean, Result, best, names

MARK = (
    "Bold: the smallest of a scheme, and what lies within two standard errors of it, paired by "
    "calibration seed, where there are three."
)
Cell = Callable[[Result], str]
Values = Callable[[Result], Mapping[int, float]]


def page(found: Sequence[Result], failed: Mapping[tuple[str, str, str], list[int]]) -> str:
    """All tables: for each kind of loss the rises, distances where measured, and what it took.

    Behind them stands what `failed`, as `results.failures` has it.
    """
    sections = sharing((result.recipe for result in found), "recipes")
    for name, unit in UNITS.items():
        mine = [result for result in found if result.loss[0] == name]
        if mine:
            sections += _section(unit, mine)
    if failed:
        lines = [
            f"- {recipe.removesuffix('.yaml')} on {model.removeprefix('zoo:')}, "
            f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, sorted(seeds)))}: {reason}"
            for (model, recipe, reason), seeds in failed.items()
        ]
        sections += ["Runs without a result:", "\n".join(lines)]
    return "\n\n".join(sections) + "\n"


def with_error(mean: float, error: float) -> str:
    """ "0.0312 +- 0.0011": the error with two digits, the mean with as many places."""
    places = 3
    if error > 0:
        places = max(0, 1 - _magnitude(error))
    return f"{mean:.{places}f} +- {error:.{places}f}"


def _section(unit: str, found: list[Result]) -> list[str]:
    one = next(iter(found[0].losses.values()))
    seeds = max(len(result.losses) for result in found)
    images = one.evaluation["losses"]
    bold = _bold(found, Result.gaps)
    told = f"{seeds} calibration seeds" if seeds > 1 else "one calibration seed"
    head = f"Rise over full precision of the {unit}; {images:,} held-out images, {told}."
    parts = [f"{head} {MARK}" if seeds >= SEEDS else head, _table(found, lambda r: _rise(r, bold))]
    agreeing = [result for result in found if result.agreement() is not None]
    if agreeing:
        parts += [
            f"Tokens equal to full precision's and KL to it in nats a token, over the replayed "
            f"prefixes of {one.evaluation['paths']} sampled images a seed.",
            _table(agreeing, _agreement),
        ]
    far = [result for result in found if result.distances]
    if far:
        measured = far[0].records[-1].evaluation
        draws = f" in {drawn} draws" if (drawn := len(measured["seeds"])) > 1 else ""
        seeds = max(len(result.distances) for result in far)
        told = f"{seeds} seeds and the scatter of their mean" if seeds > 1 else "one seed"
        head = f"FD-shapes, {measured['n']:,} images{draws} of {told}."
        close = _bold(far, Result.away)
        parts += [
            f"{head} {MARK}" if seeds >= SEEDS else head,
            _table(far, lambda r: _distance(r, close)),
        ]
    made = [result for result in found if not result.untouched]
    parts += [
        "Seconds to quantize, calibration apart, and peak memory of the process in MB "
        "(cells run side by side).",
        _table(made, _cost),
    ]
    return parts


def _table(found: list[Result], cell: Cell) -> str:
    models = list(dict.fromkeys(result.model for result in found))
    by_name = {(result.name, result.model): result for result in found}
    lines = [
        "| | " + " | ".join(model.removeprefix("zoo:") for model in models) + " |",
        "|---|" + "---|" * len(models),
    ]
    for name in names(found):
        cells = [by_name.get((name, model)) for model in models]
        told = ["" if each is None else cell(each) for each in cells]
        lines.append(f"| {name} | " + " | ".join(told) + " |")
    return "\n".join(lines)


def _bold(found: list[Result], values: Values) -> set[int]:
    """The identities of the best of each model and scheme by `values`, where seeds decide."""

    def place(result: Result) -> tuple[str, str]:
        return result.model, result.scheme

    compared = [result for result in found if not result.untouched]
    decided = [result for result in compared if len(values(result)) >= SEEDS]
    groups = [list(group) for _, group in groupby(sorted(decided, key=place), key=place)]
    return {id(r) for group in groups if len(group) > 1 for r in best(group, values)}


def _rise(result: Result, bold: set[int]) -> str:
    if result.untouched:
        loss = result.loss[1]
        return with_error(loss["mean"], loss["standard_error"])
    rise = result.rise()
    return _marked(with_error(rise.mean, rise.error), result, bold)


def _agreement(result: Result) -> str:
    found = result.agreement()
    assert found is not None
    share, kl = found
    return f"{share.value:.1%}, {_told(kl, f'{kl.value:.3g}')}"


def _distance(result: Result, bold: set[int]) -> str:
    found = result.distance()
    assert found is not None
    return _marked(_told(found, f"{found.value:.1f}"), result, bold)


def _marked(text: str, result: Result, bold: set[int]) -> str:
    return f"**{text}**" if id(result) in bold else text


def _told(mean: Mean, alone: str) -> str:
    """The mean with its error, or what stands for it `alone`."""
    return alone if mean.error is None else with_error(mean.value, mean.error)


def _cost(result: Result) -> str:
    records = list(result.losses.values())
    seconds = sum(record.quantize_seconds or 0.0 for record in records) / len(records)
    memory = max(record.peak_memory_bytes or 0 for record in records)
    return f"{seconds:.{0 if seconds >= 10 else 1}f} s, {memory / 1e6:.0f}"


def _magnitude(value: float) -> int:
    """The decimal exponent."""
    return int(f"{value:e}".split("e")[1])
