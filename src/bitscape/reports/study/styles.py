"""Families beside each other, each in units of its own full precision."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bitscape.laws import RelativeEntry
from bitscape.reports.palette import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILION
from bitscape.reports.study.marks import (
    STYLE,
    Tips,
    log_axes,
    new_figure,
    save,
)
from bitscape.reports.study.view import stem

HUES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
SHAPES = ("o", "s", "D", "^", "v", "P")
PITCH = 0.3


class Picture(NamedTuple):
    """A figure of one source: the name of its files less "-styles", and its SVG."""

    source: str
    slug: str
    svg: str


def beside(source: str, groups: Mapping[str, Sequence[RelativeEntry]], folder: Path) -> Picture:
    """Write the figure of one source as PNG and SVG."""
    slug = stem(source).lower()
    with matplotlib.rc_context(dict(STYLE)):  # type: ignore[arg-type]
        figure, tips = draw_styles(groups)
    _, svg = save(figure, tips, folder / f"{slug}-styles")
    return Picture(source, slug, svg.read_text())


def draw_styles(groups: Mapping[str, Sequence[RelativeEntry]]) -> tuple[Figure, Tips]:
    """A row for each setting, a mark for each series."""
    rows = list(groups)
    entries = sorted(chain(*groups.values()), key=lambda one: one.setting)
    series = list(dict.fromkeys(one.series for one in entries))
    height = PITCH * len(rows) + 1.15
    figure = new_figure(7.6, height)
    axes = figure.add_axes((0.23, 0.55 / height, 0.74, 1 - 1.0 / height))
    ratios = [one.ratio for one in entries if one.ratio is not None]
    ends = [end for one in entries for end in one.ratio_ci or ()]
    inside = [end for end in ends if min(ratios) / 2 < end < 2 * max(ratios)]
    log_axes(axes, (min([*ratios, *inside]) / 1.1, max([1.0, *ratios, *inside]) * 1.1), (1, 2))
    axes.set_yscale("linear")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.axvline(1.0, color=GREY, lw=0.9, ls=(0, (2, 3)), zorder=0)
    tips: Tips = {}
    for place, name in enumerate(series):
        own = [one for one in entries if one.series == name]
        shift = 0.5 * ((place + 0.5) / len(series) - 0.5)
        heights = [rows.index(f"{one.method} {one.scheme}") + shift for one in own]
        _series(axes, place, own, heights, tips)
    axes.set_yticks(range(len(rows)), rows, color=INK)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("bits, of the same family's full precision at equal quality")
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=len(series), frameon=False, labelcolor=GREY
    )
    return figure, tips


def _series(
    axes: Axes, place: int, own: Sequence[RelativeEntry], heights: Sequence[float], tips: Tips
) -> None:
    """The marks of one series, each with its interval."""
    shade, shape = HUES[place % len(HUES)], SHAPES[place % len(SHAPES)]
    for height, one in zip(heights, own, strict=True):
        ends = one.ratio_ci or ()
        axes.plot(ends, [height] * len(ends), color=shade, lw=1.6)
    name, group = own[0].series, f"y-s{place}-p"
    ratios = [one.ratio for one in own if one.ratio is not None]
    axes.plot(ratios, heights, shape, color=shade, ms=6, label=name, gid=group, zorder=4)
    tips[group] = tuple(
        f"{name}, {one.method} {one.scheme}: {one.ratio:.3g}, mean of {one.sizes} sizes"
        for one in own
    )
