"""The laws, one panel a method: its precisions beside full precision."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bitscape.reports.palette import GREY, INK
from bitscape.reports.study.marks import (
    Tips,
    colour,
    dashes,
    draw_law,
    limits,
    log_axes,
    mark,
    new_figure,
    y_label,
)
from bitscape.reports.study.view import Line, View
from bitscape.reports.study.words import axis_unit

COLUMNS = 3
PANELS = 12
ENTRY = 1.35
"""Inches of an entry of the legend."""


def draw_panels(view: View) -> tuple[Figure, Tips]:
    """The figure of all methods with enough sizes, on common axes."""
    groups = methods(view)
    columns = min(COLUMNS, len(groups))
    rows = math.ceil(len(groups) / columns)
    width = max(3.3 * columns, 5.0) + 0.5
    handles = _handles([line for lines in groups for line in lines], view)
    across = min(int(width / ENTRY), len(handles))
    head = 0.52 + 0.2 * math.ceil(len(handles) / across)
    height = 2.5 * rows + 0.28 + head
    figure = new_figure(width, height)
    factor, name = axis_unit(view.study)
    tips: Tips = {}
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    x, y = limits(view)
    shown = list(grid.flat)
    for index, (axes, lines) in enumerate(zip(shown, groups, strict=False)):
        _panel(axes, lines, view, tips, f"m{index}")
        log_axes(axes, x, y, factor)
        below = index + columns >= len(groups)
        axes.tick_params(labelbottom=below)
        if below:
            axes.set_xlabel(name)
        if index % columns == 0:
            axes.set_ylabel(y_label(view))
    for axes in shown[len(groups) :]:
        axes.set_visible(False)
    _legend(figure, handles, across)
    figure.subplots_adjust(
        left=0.72 / width,
        right=1 - 0.12 / width,
        bottom=0.55 / height,
        top=1 - head / height,
        wspace=0.1,
        hspace=0.22,
    )
    return figure, tips


def _legend(figure: Figure, handles: list[Line2D], across: int) -> None:
    """Above the panels, `across` entries a row."""
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.02, 1 - 0.05 / figure.get_figheight()),
        ncols=across,
        frameon=False,
        labelcolor=GREY,
        handlelength=2.2,
        columnspacing=1.4,
    )


def methods(view: View) -> list[list[Line]]:
    """The lines of each quantizing method."""
    found: dict[str, list[Line]] = {}
    for line in view.sound:
        if line.full:
            continue
        found.setdefault(line.setting.method, []).append(line)
    return list(found.values())[:PANELS]


def _panel(axes: Axes, lines: Sequence[Line], view: View, tips: Tips, panel: str) -> None:
    full = next((line for line in view.lines if line.full), None)
    for line in ([full] if full else []) + list(lines):
        draw_law(axes, line, tips, panel)
    axes.set_title(lines[0].setting.short, loc="left", fontsize=10, fontweight="bold", color=INK)


def _handles(lines: Sequence[Line], view: View) -> list[Line2D]:
    """What the legend shows: full precision, then each scheme once."""
    full = [line for line in view.lines if line.full][:1]
    kinds = {line.setting.scheme: line for line in [*full, *lines]}
    return [
        Line2D(
            [],
            [],
            color=colour(line),
            ls=dashes(line),
            lw=1.6,
            ms=6,
            label="full precision" if line.full else scheme,
            **mark(line),
        )
        for scheme, line in kinds.items()
    ]
