"""The frontier: which setting is best at each budget, and what blind extrapolation would say."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from bitscape.laws import FrontierEntry, label, metric_name
from bitscape.reports.palette import GREY, INK, PALE
from bitscape.reports.study.marks import (
    BAND,
    Tips,
    colour,
    draw_points,
    law_tip,
    log_axes,
    new_figure,
    y_label,
)
from bitscape.reports.study.view import Line, View, even
from bitscape.reports.study.words import axis_unit

_SHOWN = 2.0
"""Measurements this many times worse than the worst of the frontier are left out."""

EDGE = 0.25
"""The share of the width next to the left edge where a name has no room on the left."""

_LINE = 4.0
"""Points by which a name moves at a time."""

_HALO = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.7}


def draw_frontier(view: View) -> tuple[Figure, Tips]:
    """All competing laws faintly, the frontier in colour, the unguarded one dotted."""
    figure = new_figure(7.6, 5.0)
    axes = figure.add_axes((0.09, 0.12, 0.89, 0.85))
    tips: Tips = {}
    lines = {line.setting.setting: line for line in view.lines if line.setting.competes}
    x, y = _limits(view, list(lines.values()))
    reaches = [even(min(line.bits), max(line.bits), 30) for line in lines.values()]
    curves = [
        np.stack([reach, line.law.quality(reach)], axis=1)
        for reach, line in zip(reaches, lines.values(), strict=True)
    ]
    axes.add_collection(LineCollection(curves, colors=PALE, linewidths=0.9, zorder=1))
    for line in lines.values():
        draw_points(axes, line, tips, f"q-s{line.setting.setting}", 4.5, y[1])
    measured = [cell for cell in view.cells if not cell.extrapolated]
    names = [
        _stretch(axes, lines[stretch[0].setting], stretch, tips, f"f{index}", x)
        for index, stretch in enumerate(_stretches(measured))
    ]
    _unguarded(axes, view)
    factor, name = axis_unit(view.study)
    log_axes(axes, x, y, factor)
    _apart(names)
    if y[0] < view.study.at < y[1]:
        axes.axhline(view.study.at, color=GREY, lw=0.8, ls=(0, (2, 3)), zorder=0)
        axes.annotate(
            f"{metric_name(view.study.metric)} {view.study.at:g}",
            (x[1], view.study.at),
            (-2, 3),
            textcoords="offset points",
            ha="right",
            color=GREY,
            fontsize=8,
        )
    axes.set_xlabel(f"budget: {name}")
    axes.set_ylabel(y_label(view))
    return figure, tips


def _stretches(cells: Sequence[FrontierEntry]) -> list[list[FrontierEntry]]:
    return [list(group) for _, group in groupby(cells, key=lambda cell: cell.setting)]


def _stretch(
    axes: Axes,
    line: Line,
    cells: Sequence[FrontierEntry],
    tips: Tips,
    group: str,
    x: tuple[float, float],
) -> Annotation:
    """One setting's part of the frontier, with its interval and its name, which is returned.

    The name stands below a falling line on its left; at the left edge above it on its right.
    """
    shade, reach = colour(line), even(cells[0].budget, cells[-1].budget * 1.0001, 30)
    center = np.log(line.law.quality(reach))
    half = line.law.t * line.law.deviation(reach)
    low, high = np.exp(center - half), np.exp(np.minimum(center + half, 50))
    axes.fill_between(reach, low, high, color=shade, alpha=BAND, lw=0, zorder=1)
    axes.plot(
        reach,
        np.exp(center),
        color=shade,
        lw=3.2,
        solid_capstyle="round",
        zorder=5,
        gid=f"{group}-s{line.setting.setting}-line",
    )
    tips[f"{group}-s{line.setting.setting}-line"] = (law_tip(line),)
    middle = len(reach) // 2
    edge = np.log(reach[middle] / x[0]) < EDGE * np.log(x[1] / x[0])
    return axes.annotate(
        label(line.setting),
        (reach[middle], float(np.exp(center[middle]))),
        (7, 6) if edge else (-6, -6),
        textcoords="offset points",
        ha="left" if edge else "right",
        va="bottom" if edge else "top",
        color=INK,
        fontsize=8.5,
        fontweight="bold",
        bbox=_HALO,
        zorder=7,
    )


def _apart(names: Sequence[Annotation]) -> None:
    """Move names away from the falling line until none covers another."""
    above = [name for name in names if name.xyann[1] > 0]
    below = [name for name in names if name.xyann[1] <= 0]
    placed: list[Bbox] = []
    # Above the line the last name lies lowest, and those before it give way upwards.
    for name in (*reversed(above), *below):
        across, up = name.xyann
        step = _LINE if up > 0 else -_LINE
        box = name.get_window_extent()
        while any(box.overlaps(other) for other in placed):
            up += step
            name.xyann = (across, up)
            box = name.get_window_extent()
        placed.append(box)


def _unguarded(axes: Axes, view: View) -> None:
    """What laws would promise beyond their sizes."""
    beyond = [
        (cell.budget, cell.quality) if cell.extrapolated else (cell.budget, np.nan)
        for cell in view.unguarded
    ]
    if any(np.isfinite(quality) for _, quality in beyond):
        bits, quality = np.array(beyond).T
        axes.plot(bits, quality, color=INK, lw=1.1, ls=(0, (1, 2)), zorder=2)
        best = min(cell.quality for cell in view.cells if not cell.extrapolated)
        seen = np.flatnonzero(np.isfinite(quality) & (quality > best / 1.2))
        axes.annotate(
            "extrapolated, not measured",
            (bits[seen[-1]], quality[seen[-1]]),
            (-6, -2),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8,
            color=GREY,
            fontstyle="italic",
        )


def _limits(view: View, lines: Sequence[Line]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Every budget that was measured, and qualities up to a few times the best ones."""
    bits = [value for line in lines for value in line.bits]
    best = [cell.quality for cell in view.cells if not cell.extrapolated]
    quality = [value for line in lines for value in line.quality if value < _SHOWN * max(best)]
    low = min([*best, *quality])
    return (min(bits) / 1.15, max(bits) * 1.3), (low / 1.35, max([*best, *quality]) * 1.1)
