"""The overview picture: one row a setting, one column a seed, with what each row costs.

Positions are in inches on one set of axes that fills the figure, so that pictures, bars and text of
a row line up exactly. Bars carry their number beside them; colour only repeats what it says.
"""

import textwrap
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bitscape.reports import words
from bitscape.reports.palette import BLUE, GREY, INK, RULE, VERMILION
from bitscape.reports.results import Demo, Panel, Row

WIDTH = 14.2
DPI = 120
LABEL, PICTURES, SIZE, LOSS, DISTANCE, CLASS = 0.3, 1.75, 8.45, 10.15, 11.95, 13.25
PITCH = 0.65
PICTURE = 0.62
BAR = 1.3
PANEL_HEAD = 1.2
PANEL_GAP = 0.25
HEAD = 1.6
FOOT = 0.6


@dataclass(frozen=True)
class Canvas:
    """Axes in inches, y growing downwards, with the few marks the overview is made of."""

    axes: Axes

    def text(self, x: float, y: float, text: str, size: float = 11, **style: object) -> None:
        """Write `text` with its top left corner at (x, y)."""
        options = {"color": INK, "va": "top", "ha": "left", "linespacing": 1.35, **style}
        self.axes.text(x, y, text, fontsize=size, **options)  # type: ignore[arg-type]

    def bar(self, x: float, y: float, length: float, color: str) -> None:
        """A horizontal bar of `length` inches."""
        self.axes.add_patch(Rectangle((x, y), max(length, 0.012), 0.13, color=color, lw=0))

    def rule(self, y: float) -> None:
        """A thin line over the whole width."""
        self.axes.plot([LABEL, WIDTH - LABEL], [y, y], color=RULE, lw=0.8)


def draw_overview(demo: Demo, out: Path) -> Path:
    """Write the overview of `demo` as a PNG at `out` and return its path."""
    heights = [panel_height(panel) for panel in demo.panels]
    height = HEAD + sum(heights) + FOOT
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
    axes.axis("off")
    canvas = Canvas(axes)
    draw_head(canvas)
    top = HEAD
    for panel, panel_inches in zip(demo.panels, heights, strict=True):
        draw_panel(canvas, panel, demo, top)
        top += panel_inches
    draw_foot(canvas, demo, top)
    axes.set(xlim=(0, WIDTH), ylim=(height, 0), autoscale_on=False)
    figure.savefig(out, dpi=DPI)
    return out


def panel_height(panel: Panel) -> float:
    """Inches one panel takes."""
    return PANEL_HEAD + PITCH * len(panel.rows) + PANEL_GAP


def draw_head(canvas: Canvas) -> None:
    """The title, and how to read what follows."""
    canvas.text(LABEL, 0.25, words.HEADLINE, 20, weight="bold")
    canvas.text(LABEL, 0.72, wrap(f"{words.LEDE} {words.HOW_TO_READ}", 165), 11, color=GREY)


def draw_panel(canvas: Canvas, panel: Panel, demo: Demo, top: float) -> None:
    """One model: its heading, the names of the columns, and its rows."""
    canvas.rule(top)
    heading = f"{words.FAMILY[panel.family]}  ({panel.parameters / 1e6:.1f} million weights)"
    canvas.text(LABEL, top + 0.15, heading, 13, weight="bold")
    canvas.text(LABEL, top + 0.42, words.LOOK_FOR[panel.family], 9.5, color=GREY)
    names = (
        (LABEL, "stored in"),
        (PICTURES, "one column = one class and one random seed"),
        (SIZE, "file size, % of 16 bits"),
        (LOSS, "loss rise (lower is better)"),
        (DISTANCE, f"FD-shapes\nn = {demo.preview_samples}, preview"),
        (CLASS, "right\nclass"),
    )
    for x, name in names:
        bottom = top + PANEL_HEAD - 0.08
        canvas.text(x, bottom, name, 9.5, color=GREY, va="bottom")
    for index, row in enumerate(panel.rows):
        draw_row(canvas, panel, row, top + PANEL_HEAD + PITCH * index, demo.committed_samples)


def draw_row(canvas: Canvas, panel: Panel, row: Row, y: float, committed: int) -> None:
    """One setting: name, pictures, size, loss, distance, class accuracy."""
    middle = y + 0.12
    canvas.text(LABEL, middle, row.setting.title, 13, weight="bold")
    canvas.text(LABEL, y + 0.36, f"{row.setting.scheme}  {row.setting.method}", 9.5, color=GREY)
    for index, picture in enumerate(row.pictures):
        x = PICTURES + PITCH * index
        canvas.axes.imshow(
            picture, extent=(x, x + PICTURE, y + PICTURE, y), interpolation="nearest", aspect="auto"
        )
    canvas.text(
        SIZE, middle, f"{words.megabytes(row.file_bytes)}  {words.share(row, panel.full)}", 11
    )
    canvas.bar(SIZE, y + 0.38, BAR * row.file_bytes / panel.full.file_bytes, BLUE)
    canvas.text(LOSS, middle, words.difference(row.loss_difference), 11)
    if row.loss_difference is not None:
        canvas.bar(LOSS, y + 0.38, BAR * loss_share(panel, row), VERMILION)
    canvas.text(DISTANCE, middle, f"{row.fd_preview:.1f}", 11)
    canvas.text(DISTANCE, y + 0.36, words.distance(row, committed), 9.5, color=GREY)
    canvas.text(CLASS, middle, f"{100 * row.class_accuracy:.0f} %", 11)


def loss_share(panel: Panel, row: Row) -> float:
    """The row's loss rise as a share of the largest one in its panel; a fall counts as nothing."""
    rises = [other.loss_difference.mean for other in panel.rows if other.loss_difference]
    largest = max(rises, default=0.0)
    if row.loss_difference is None or largest <= 0:
        return 0.0
    return max(row.loss_difference.mean, 0.0) / largest


def draw_foot(canvas: Canvas, demo: Demo, top: float) -> None:
    """What the small print of the columns means."""
    canvas.rule(top)
    canvas.text(LABEL, top + 0.12, wrap(footnote(demo), 195), 9.5, color=GREY)


def footnote(demo: Demo) -> str:
    """The columns explained in two sentences."""
    return (
        f"Loss rise: prediction error on {demo.losses_on} unseen images minus that of the 16-bit "
        "weights, ± standard error. FD-shapes: distance between generated and real images (lower "
        f"is better), from {demo.preview_samples} of them, which is rough and too high; below it "
        f"the value committed with the package, from {demo.committed_samples:,}. Right class: "
        "pictures in which a classifier sees the class that was asked for."
    )


def wrap(text: str, width: int) -> str:
    """`text` in lines of at most `width` characters."""
    return textwrap.fill(text, width)
