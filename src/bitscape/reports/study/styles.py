"""Families beside each other, each in units of its own full precision."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bitscape.laws import ChangeEntry, Comparison, RelativeEntry, Study, heading, metric_name
from bitscape.reports.palette import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILION
from bitscape.reports.study.marks import (
    STYLE,
    Tips,
    log_axes,
    new_figure,
    save,
)
from bitscape.reports.study.view import plain_word, stem

HUES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
SHAPES = ("o", "s", "D", "^", "v", "P")
PITCH = 0.3
"""Inches a row."""
CHARACTER = 0.082
"""Inches of a letter in the name of a row, at most."""


class Picture(NamedTuple):
    """A figure of one comparison: the name of its files less its kind, its kind and its SVG."""

    slug: str
    kind: str
    svg: str


class Mark(NamedTuple):
    """One setting of one series: `hollow` where its value is extrapolated."""

    setting: int
    row: str
    series: str
    value: float
    ends: tuple[float, float] | None
    hollow: bool
    tip: str


class Chart(NamedTuple):
    """What one figure shows; `unchanged` is the place on its axis where quantizing does nothing."""

    kind: str
    marks: list[Mark]
    axis: str
    unchanged: float


def beside(study: Study, one: Comparison, folder: Path) -> list[Picture]:
    """Write the figures of one comparison as PNG and SVG."""
    name = heading(study, one)
    several = "" if name == one.source else f"-{plain_word(one.protocol)}"
    slug = f"{stem(one.source)}{several}".lower().replace(".", "-")
    axis = "bits, of the same family's full precision at equal quality"
    charts = [Chart("styles", of_bits(one), axis, 1.0)]
    if one.lawless:
        charts.append(Chart("changes", of_changes(one), *change_axis(study, one)))
    return [_picture(chart, slug, folder) for chart in charts if chart.marks]


def of_bits(one: Comparison) -> list[Mark]:
    """The marks of the comparison in bits."""
    return [
        Mark(
            setting=each.setting,
            row=name,
            series=each.series,
            value=each.ratio,
            ends=each.ratio_ci,
            hollow=each.extrapolated,
            tip=f"{each.series}, {name}: {each.ratio:.3g}, mean of {each.sizes} sizes{_far(each)}",
        )
        for name, several in one.bits.items()
        for each in several
        if each.ratio is not None
    ]


def of_changes(one: Comparison) -> list[Mark]:
    """The marks of the comparison in changes of each model's own metric."""
    return [
        Mark(
            setting=each.setting,
            row=name,
            series=each.series,
            value=each.change,
            ends=_two_errors(each),
            hollow=False,
            tip=f"{each.series}, {name}: {each.change:.3g}, mean of {len(each.models)} models",
        )
        for name, several in one.changes.items()
        for each in several
    ]


def change_axis(study: Study, one: Comparison) -> tuple[str, float]:
    """The name of the axis of changes, and where on it nothing changed."""
    kinds = {each.kind for several in one.changes.values() for each in several}
    how, unchanged = ("of", 1.0) if "ratio" in kinds else ("less that of", 0.0)
    return f"{metric_name(study.metric)}, {how} the same model's full precision", unchanged


def draw_marks(chart: Chart) -> tuple[Figure, Tips]:
    """A row for each setting, a mark for each series."""
    ordered = sorted(chart.marks, key=lambda one: one.setting)
    rows = list(dict.fromkeys(one.row for one in chart.marks))
    series = list(dict.fromkeys(one.series for one in ordered))
    height, margin = PITCH * len(rows) + 1.15, CHARACTER * max(map(len, rows)) + 0.15
    width = margin + 5.85
    figure = new_figure(width, height)
    axes = figure.add_axes((margin / width, 0.55 / height, 5.65 / width, 1 - 1.0 / height))
    _scale(axes, chart.marks, chart.unchanged)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(False, axis="y")
    tips: Tips = {}
    for place, name in enumerate(series):
        own = [one for one in ordered if one.series == name]
        shift = 0.5 * ((place + 0.5) / len(series) - 0.5)
        _series(axes, place, own, [rows.index(one.row) + shift for one in own], tips)
    axes.set_yticks(range(len(rows)), rows, color=INK)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(chart.axis)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=len(series), frameon=False, labelcolor=GREY
    )
    return figure, tips


def _scale(axes: Axes, marks: Sequence[Mark], unchanged: float) -> None:
    """A line at what is `unchanged`: logarithmic around 1, where ratios stand, else linear."""
    values = [unchanged, *(one.value for one in marks)]
    ends = [end for one in marks for end in one.ends or ()]
    if unchanged > 0:
        inside = [end for end in ends if min(values) / 2 < end < 2 * max(values)]
        log_axes(axes, (min([*values, *inside]) / 1.1, max([*values, *inside]) * 1.1), (1, 2))
        axes.set_yscale("linear")
    axes.axvline(unchanged, color=GREY, lw=0.9, ls=(0, (2, 3)), zorder=0)


def _series(
    axes: Axes, place: int, own: Sequence[Mark], heights: Sequence[float], tips: Tips
) -> None:
    """The marks of one series, each with its interval; the filled ones first."""
    shade, shape = HUES[place % len(HUES)], SHAPES[place % len(SHAPES)]
    named = False
    for hollow in (False, True):
        shown = [
            (one, height) for one, height in zip(own, heights, strict=True) if one.hollow == hollow
        ]
        if not shown:
            continue
        group = f"{'h' if hollow else 'y'}-s{place}-p"
        for one, height in shown:
            axes.plot(one.ends or (), [height] * len(one.ends or ()), color=shade, lw=1.6)
        axes.plot(
            [one.value for one, _ in shown],
            [height for _, height in shown],
            shape,
            color=shade,
            mfc="white" if hollow else shade,
            ms=6,
            label="_" if named else own[0].series,
            gid=group,
            zorder=4,
        )
        named = True
        tips[group] = tuple(one.tip for one, _ in shown)


def _picture(chart: Chart, slug: str, folder: Path) -> Picture:
    with matplotlib.rc_context(dict(STYLE)):  # type: ignore[arg-type]
        figure, tips = draw_marks(chart)
    _, svg = save(figure, tips, folder / f"{slug}-{chart.kind}")
    return Picture(slug, chart.kind, svg.read_text())


def _far(one: RelativeEntry) -> str:
    return f", extrapolated {one.times_beyond:.2g} times" if one.extrapolated else ""


def _two_errors(one: ChangeEntry) -> tuple[float, float] | None:
    if one.error is None:
        return None
    return one.change - 2 * one.error, one.change + 2 * one.error
