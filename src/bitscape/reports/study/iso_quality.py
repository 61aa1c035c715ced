"""Bits needed for one quality: a row a setting, with its interval."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bitscape.laws import metric_name
from bitscape.reports.palette import GREY, INK, SHADE
from bitscape.reports.study.marks import (
    Tips,
    colour,
    log_axes,
    marker,
    new_figure,
)
from bitscape.reports.study.view import Line, View
from bitscape.reports.study.words import axis_unit, interval, number, remark

ROWS = 48
_PITCH = 0.235
_REACH = 12.0
_NAMES, _PLOT, _RATIOS = 1.75, 5.0, 0.85
"""Inches across: the names beside the rows at least, the plot, the ratios on its right."""
_MARGIN = 0.15


def draw_iso_quality(view: View) -> tuple[Figure, Tips]:
    """Settings by the bits they need, fewest first; those off the chart last, by name."""
    found = [line for line in view.sound if line.entry.bits_at is not None]
    found.sort(key=lambda line: line.entry.bits_at or 0.0)
    lost = [line for line in view.sound if line.entry.bits_at is None]
    lines = [*found, *lost][:ROWS]
    height = _PITCH * len(lines) + 1.15
    figure = new_figure(_NAMES + _PLOT + _RATIOS, height)
    axes = figure.add_axes((0, 0.62 / height, 1, 1 - 1.05 / height))
    centers = [line.entry.bits_at for line in found if line.entry.bits_at is not None] or [1.0]
    x = min(centers) / 2.2, max(centers) * 2.2
    x = max(x[0], x[1] / _REACH**3), x[1]
    factor, name = axis_unit(view.study)
    log_axes(axes, x, (1, 2), factor)
    axes.set_yscale("linear")
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.grid(False, axis="y")
    tips: Tips = {}
    _reference(axes, found, x)
    for row, line in enumerate(lines):
        _row(axes, row, line, x, tips)
    axes.set_yticks(range(len(lines)), [line.label for line in lines], color=INK)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    target = f"{metric_name(view.study.metric)} {view.study.at:g}"
    axes.set_xlabel(f"{name} for {target}")
    axes.annotate(
        "of full\nprecision",
        (1.01, 1),
        (0, 8),
        xycoords="axes fraction",
        textcoords="offset points",
        va="bottom",
        fontsize=8,
        color=GREY,
    )
    _make_room(figure, axes)
    return figure, tips


def _make_room(figure: Figure, axes: Axes) -> None:
    """Widen the figure until the longest name fits beside the rows."""
    longest = max((name.get_window_extent().width for name in axes.get_yticklabels()), default=0.0)
    names = max(_NAMES, longest / figure.dpi + _MARGIN)
    width = names + _PLOT + _RATIOS
    figure.set_figwidth(width)
    place = axes.get_position()
    axes.set_position((names / width, place.y0, _PLOT / width, place.height))


def _reference(axes: Axes, found: Sequence[Line], x: tuple[float, float]) -> None:
    readings = [line for line in found if line.full]
    full = min(readings, key=lambda line: line.setting.setting).entry.bits_at if readings else None
    if full is not None and x[0] < full < x[1]:
        axes.axvline(full, color=GREY, lw=0.9, ls=(0, (2, 3)), zorder=0)


def _row(axes: Axes, row: int, line: Line, x: tuple[float, float], tips: Tips) -> None:
    bits, ends = line.entry.bits_at, line.entry.bits_at_ci
    if row % 2:
        axes.axhspan(row - 0.5, row + 0.5, color=SHADE, lw=0, zorder=-1)
    if bits is None or ends is None:
        _lost(axes, row, line, x[1])
        return
    group, shade = f"i-s{line.setting.setting}-line", colour(line)
    _whisker(axes, row, shade, ends, x)
    axes.plot(
        [bits],
        [row],
        marker=marker(line),
        ms=6.5,
        mfc="white" if line.entry.extrapolated else shade,
        mec=shade,
        mew=1.4,
        zorder=5,
        gid=group,
    )
    tip = f"{line.label}: {number(bits)} ({interval(ends)}) {remark(line.entry)}".rstrip()
    tips[group] = (tip,)
    if line.entry.bits_ratio is not None:
        axes.annotate(
            f"{line.entry.bits_ratio:.2f}",
            (1.03, row),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8.5,
            color=INK,
        )


def _whisker(
    axes: Axes,
    row: int,
    shade: str,
    ends: tuple[float | None, float | None],
    x: tuple[float, float],
) -> None:
    """The interval, with an arrow where it leaves the chart."""
    low, high = (x[0] if ends[0] is None else ends[0]), (x[1] if ends[1] is None else ends[1])
    axes.plot([max(low, x[0]), min(high, x[1])], [row, row], color=shade, lw=2, zorder=3)
    if low <= x[0]:
        axes.plot([x[0]], [row], marker="<", ms=5, color=shade, clip_on=False, zorder=4)
    if high >= x[1]:
        axes.plot([x[1]], [row], marker=">", ms=5, color=shade, clip_on=False, zorder=4)


def _lost(axes: Axes, row: int, line: Line, edge: float) -> None:
    """Why the setting has no bits at this quality, at the right edge."""
    axes.annotate(
        line.entry.reason or "off the chart",
        (edge, row),
        (-4, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=8,
        fontstyle="italic",
        color=GREY,
    )
