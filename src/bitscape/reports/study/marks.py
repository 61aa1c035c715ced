"""What the figures share: colours, markers, axes, and the words a mark says when pointed at.

Colour tells the weight bits and the marker the activation bits, in every figure alike; hollow marks
and dashes are variants of such a precision: groups, zero points, floats.
"""

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis as Scale
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bitscape.laws import FULL_BITS, metric_name
from bitscape.reports.palette import (
    BLUE,
    GREEN,
    GREY,
    GRID,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
)
from bitscape.reports.study.view import Line, View, even
from bitscape.reports.study.words import number

OTHER = SKY
COLOURS = {16: GREY, 8: BLUE, 6: GREEN, 4: ORANGE, 3: VERMILION, 2: PURPLE}
MARKERS = {16: "o", 8: "s", 6: "D", 4: "^", 3: "v"}
BAND = 0.14
DPI = 150
STYLE: Mapping[str, object] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial"],
    "font.size": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "svg.fonttype": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
}
Tips = dict[str, tuple[str, ...]]
"""What marks say: SVG group to the text of the mark in it, or of each of its markers in turn."""

_GROUP = re.compile(
    r'(?P<open>(?P<indent>\n +)<g id="(?P<id>\w+-s\d+-(?:line|p))">)(?P<body>.*?)'
    r"(?P<close>(?P=indent)</g>)",
    re.DOTALL,
)


def colour(line: Line) -> str:
    """By weight bits; floats wider than 16 bits count 16."""
    return COLOURS.get(int(min(line.setting.w_bits, FULL_BITS)), OTHER)


def marker(line: Line) -> str:
    """By activation bits."""
    return MARKERS.get(int(min(line.setting.a_bits, FULL_BITS)), "P")


def plain(line: Line) -> bool:
    """Whether its scheme is told by colour and marker alone; drawn dashed and hollow if not."""
    return re.fullmatch(r"W[\d.]+A[\d.]+", line.setting.scheme) is not None


def dashes(line: Line) -> str | tuple[int, tuple[float, float]]:
    """The style of a law's line."""
    return "-" if plain(line) else (0, (4.0, 1.5))


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, tips: Tips, stem: Path) -> list[Path]:
    """Write `stem`.png and `stem`.svg; in the SVG each mark carries its tip as a title."""
    png, svg = stem.with_suffix(".png"), stem.with_suffix(".svg")
    with matplotlib.rc_context({"svg.hashsalt": stem.name, **STYLE}):  # type: ignore[dict-item]
        figure.savefig(png, dpi=DPI)
        figure.savefig(svg, metadata={"Date": None, "Creator": None})
    svg.write_text(titled(svg.read_text(), tips))
    return [png, svg]


def titled(svg: str, tips: Tips) -> str:
    """`svg` with the tip of each group, or of each marker in it, as a title."""

    def marked(found: re.Match[str]) -> str:
        said = tips[found["id"]]
        if found["id"].endswith("-line"):
            return f"{found['open']}<title>{escape(said[0])}</title>{found['body']}{found['close']}"
        parts = re.split(r"(<use [^>]*/>)", found["body"])
        for index, tip in enumerate(said):
            group = f'<g id="{found["id"]}{index}"><title>{escape(tip)}</title>'
            parts[2 * index + 1] = f"{group}{parts[2 * index + 1]}</g>"
        return found["open"] + "".join(parts) + found["close"]

    return _GROUP.sub(marked, svg)


def log_axes(
    axes: Axes, x: tuple[float, float], y: tuple[float, float], factor: float = 1.0
) -> None:
    """Logarithmic axes with few round ticks, those of x written times `factor`, and a grid."""
    axes.set(xscale="log", yscale="log", xlim=x, ylim=y)
    _ticks(axes.xaxis, *x, factor)
    _ticks(axes.yaxis, *y)
    axes.grid(True, which="major")
    axes.set_axisbelow(True)


def _ticks(scale: Scale, low: float, high: float, factor: float = 1.0) -> None:
    """Round ticks: 1, 2, 5 where they fit, powers of ten over many decades, tenths over little."""
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    steps: tuple[float, ...] = (1, 2, 5) if high / low < 3000 else (1,)
    if high / low < 6:
        steps = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    if high / low < 1.6:
        steps = (*(1 + step / 10 for step in range(10)), *(step / 2 for step in range(4, 20)))
    places = [step * 10.0**decade for decade in decades for step in steps]
    scale.set_major_locator(FixedLocator([place for place in places if low <= place <= high]))
    scale.set_minor_locator(NullLocator())
    scale.set_major_formatter(FuncFormatter(lambda value, _: f"{factor * value:,.4g}"))


def draw_law(axes: Axes, line: Line, tips: Tips, panel: str, *, band: bool = True) -> None:
    """A law over its sizes with its interval, and its measurements."""
    reach = even(min(line.bits), max(line.bits))
    shade, group = colour(line), f"{panel}-s{line.setting.setting}"
    law = line.law
    if band:
        half = law.t * law.deviation(reach)
        center = np.log(law.quality(reach))
        low, high = np.exp(center - half), np.exp(np.minimum(center + half, 50))
        axes.fill_between(reach, low, high, color=shade, alpha=BAND, lw=0)
    curve = law.quality(reach)
    axes.plot(reach, curve, color=shade, lw=1.6, ls=dashes(line), gid=f"{group}-line", zorder=3)
    tips[f"{group}-line"] = (law_tip(line),)
    draw_points(axes, line, tips, group, 5)


def draw_points(
    axes: Axes, line: Line, tips: Tips, group: str, size: float, highest: float = np.inf
) -> None:
    """The measurements of a setting up to `highest`; what leaves the chart has no mark to name."""
    seen = [index for index, quality in enumerate(line.quality) if quality <= highest]
    axes.plot(
        [line.bits[index] for index in seen],
        [line.quality[index] for index in seen],
        ms=size,
        **mark(line),
        ls="none",
        gid=f"{group}-p",
        zorder=4,
    )
    tips[f"{group}-p"] = tuple(point_tip(line, index) for index in seen)


def mark(line: Line) -> dict[str, Any]:
    """How its measurements are drawn."""
    shade, whole = colour(line), plain(line)
    faces = {"mfc": shade, "mec": "white", "mew": 0.6}
    return {"marker": marker(line), **(faces if whole else {"mfc": "white", "mec": shade})}


def law_tip(line: Line) -> str:
    """What a law says when pointed at."""
    low, high = line.law.alpha_ci()
    floor = f"{number(line.law.floor)} + " if line.law.floor else ""
    return (
        f"{line.label}: Q = {floor}{number(float(np.exp(line.law.log_a)))} B^-"
        f"{line.law.alpha:.3f}, exponent {low:.2f} to {high:.2f}, {line.law.dof} degrees of freedom"
    )


def point_tip(line: Line, index: int) -> str:
    """What a measurement says when pointed at."""
    point = line.setting.points[index]
    runs = f", mean of {point.repeats} runs" if point.repeats > 1 else ""
    metric = metric_name(line.setting.metric)
    return (
        f"{point.model}, {line.label}: {metric} {point.quality:.4g} at {line.bits[index]:.3g}{runs}"
    )


def limits(view: View) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ranges that hold every measurement, with a margin."""
    bits = [value for line in view.lines for value in line.bits]
    quality = [value for line in view.lines for value in line.quality]
    return (min(bits) / 1.25, max(bits) * 1.25), (min(quality) / 1.12, max(quality) * 1.12)


def y_label(view: View) -> str:
    """The metric, and which way is good."""
    return f"{metric_name(view.study.metric)} (lower is better)"
