"""The figure of a benchmark page: every recipe's rise on every model, scheme by scheme."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bitscape.reports.benchmark.results import UNITS, Result, names
from bitscape.reports.palette import BLUE, GREEN, ORANGE, PURPLE

SERIES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "D"), (PURPLE, "^"))
ROW = 0.19
"""Inches a recipe."""
LETTER, BESIDE, PANEL = 0.055, 2.5, 4.6
"""Inches of a letter of a name, of what a panel needs beside its names, and of a panel at least."""
NARROW = 100
"""An axis that spans less than this factor has more ticks than the powers of ten."""


def draw(found: Sequence[Result], out: Path) -> Path:
    """A panel for each kind of loss: recipes downwards, the rise to the right, two errors wide."""
    compared = [result for result in found if not result.untouched]
    kinds = [[result for result in compared if result.loss[0] == loss] for loss in UNITS]
    kinds = [kind for kind in kinds if kind]
    widths = [max(PANEL, BESIDE + LETTER * max(map(len, names(kind)))) for kind in kinds]
    size = (sum(widths), 1.1 + ROW * max(len(names(kind)) for kind in kinds))
    figure = Figure(figsize=size, layout="constrained", dpi=130)
    panels = figure.subplots(1, len(kinds), squeeze=False, width_ratios=widths)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        _panel(axes, kind)
        axes.set_xlabel(f"rise of the {UNITS[kind[0].loss[0]]}", fontsize=8)
    figure.savefig(out)
    return out


def _panel(axes: Axes, found: list[Result]) -> None:
    recipes = names(found)
    models = list(dict.fromkeys(result.model for result in found))
    for (colour, marker), model in zip(cycle(SERIES), models, strict=False):
        mine = [result for result in found if result.model == model]
        rises = [result.rise() for result in mine]
        axes.errorbar(
            [rise.mean for rise in rises],
            [recipes.index(result.name) for result in mine],
            xerr=[2 * rise.error for rise in rises],
            fmt=marker,
            color=colour,
            markersize=4,
            linewidth=1,
            label=model.removeprefix("zoo:"),
        )
    schemes = {result.name: result.scheme for result in found}
    for i in range(1, len(recipes)):
        if schemes[recipes[i]] != schemes[recipes[i - 1]]:
            axes.axhline(i - 0.5, color="0.8", linewidth=0.7)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < NARROW * low else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(recipes)), recipes, fontsize=7)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_ylim(len(recipes) - 0.5, -0.5)
    axes.grid(axis="x", color="0.93")
    axes.legend(fontsize=7, frameon=False)
