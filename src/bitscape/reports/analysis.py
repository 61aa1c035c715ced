"""Pictures of the studies of `bitscape analyze`, each with its sentence under it."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, MaxNLocator

from bitscape.reports.palette import BLUE, GREEN, GREY, INK, ORANGE, VERMILION
from bitscape.reports.study.marks import DPI, STYLE, new_figure

TITLES = MappingProxyType(
    {
        "steps": "Error at each step",
        "layers": "Error of each layer at each step",
        "first_bad": "First bad layer",
        "tolerance": "Noise on a single step",
        "accumulation": "Noise on the first steps",
        "activations": "Inputs of layers over the steps",
    }
)
_LEAST = 1e-6
_LINE = 112

Study = Mapping[str, Any]


def write_figures(studies: Mapping[str, Study], folder: Path) -> list[Path]:
    """Write one PNG for each study into `folder`."""
    written = []
    for name, study in studies.items():
        with matplotlib.rc_context(dict(STYLE)):  # type: ignore[arg-type]
            figure = DRAWINGS[name](study)
            _say(figure, TITLES[name], study["summary"])
            path = folder / f"{name.replace('_', '-')}.png"
            figure.savefig(path, dpi=DPI)
        written.append(path)
    return written


def draw_steps(study: Study) -> Figure:
    """Three curves over the calls: answer, reconstruction, drift."""
    figure, axes = _single()
    calls = np.array(study["calls"]) + 1
    for key, word, shade, mark in (
        ("feature", "feature extraction: the network's answer", BLUE, "o"),
        ("reconstruction", "reconstruction after this one answer", ORANGE, "s"),
        ("drift", "reconstruction after all answers so far", VERMILION, "^"),
    ):
        axes.plot(calls, _positive(study[key]), color=shade, marker=mark, ms=4, lw=1.4, label=word)
    _error_axis(axes, [*study["feature"], *study["reconstruction"], *study["drift"]])
    _call_axis(axes)
    axes.legend(frameon=False, fontsize=8, loc="best")
    return figure


def draw_layers(study: Study) -> Figure:
    """A map of layers and calls, dark where the error is large."""
    layers = study["layers"]
    figure = new_figure(7.6, 2.2 + 0.19 * min(len(layers), 40))
    values = np.array([[np.nan if e is None else e for e in row] for row in study["errors"]])
    low, high = np.nanmax([np.nanmin(values), _LEAST]), np.nanmax(values)
    axes = figure.add_axes((0.27, 0.0, 0.6, 0.5))
    picture = axes.imshow(
        np.maximum(values, low),
        aspect="auto",
        interpolation="nearest",
        cmap="cividis",
        norm=LogNorm(low, max(high, low * 1.01)),
    )
    every = -(-len(layers) // 40)
    axes.set_yticks(range(0, len(layers), every), layers[::every], fontsize=7)
    places = sorted({round(p) for p in np.linspace(0, len(study["calls"]) - 1, 8)})
    axes.set_xticks(places, [str(study["calls"][p] + 1) for p in places])
    axes.set_xlabel("call")
    bar = figure.colorbar(picture, ax=axes, pad=0.02)
    bar.set_label("relative error of the output")
    return figure


def draw_first_bad(study: Study) -> Figure:
    """The errors of the prefixes that were tested, and the threshold."""
    figure, axes = _single()
    tested = sorted((int(count), error) for count, error in study["tested"].items())
    counts, errors = zip(*tested, strict=True)
    axes.plot(counts, errors, color=BLUE, marker="o", ms=5, lw=1.0, ls=(0, (4, 2)))
    axes.axhline(study["threshold"], color=GREY, lw=0.9, ls=(0, (2, 3)))
    axes.annotate(
        "threshold",
        (0, study["threshold"]),
        (2, 3),
        textcoords="offset points",
        color=GREY,
        fontsize=8,
    )
    if study["first_bad"] is not None:
        place = study["units"].index(study["first_bad"]) + 1
        axes.plot([place], [dict(tested)[place]], "o", color=VERMILION, ms=8, zorder=3)
        left = place > len(study["units"]) / 2
        axes.annotate(
            study["first_bad"],
            (place, dict(tested)[place]),
            (-10, 8) if left else (10, -14),
            textcoords="offset points",
            ha="right" if left else "left",
            color=VERMILION,
            bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8},
        )
    axes.set_xlabel(f"layers or blocks quantized, of {len(study['units'])} in order of execution")
    axes.set_ylabel("error of the output")
    axes.set_xlim(-0.02 * len(study["units"]), 1.02 * len(study["units"]))
    axes.set_ylim(bottom=0)
    axes.grid(True)
    return figure


def draw_tolerance(study: Study) -> Figure:
    """A panel for each perturbed call: single images faintly, their mean in colour."""
    figure = new_figure(7.6, 3.9)
    panels = len(study["calls"])
    losses, shared = np.array(study["losses"]), None
    for index, (call, shade) in enumerate(zip(study["calls"], (BLUE, ORANGE, GREEN), strict=False)):
        place = (0.09 + index * 0.9 / panels, 0.0, 0.9 / panels - 0.03, 0.5)
        axes = figure.add_axes(place, sharey=shared)
        shared = shared or axes
        axes.plot(study["decibels"], losses[index], color=GREY, lw=0.6, alpha=0.45)
        axes.plot(study["decibels"], losses[index].mean(1), color=shade, lw=2, marker="o", ms=4)
        axes.invert_xaxis()
        axes.set_title(f"noise on call {call + 1}", fontsize=9, color=INK)
        axes.set_xlabel("signal to noise (dB)")
        axes.set_ylim(0, 1.05 * max(losses.max(), _LEAST))
        axes.grid(True)
        _percent(axes)
        if index:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel("change of the result")
    return figure


def draw_accumulation(study: Study) -> Figure:
    """The error after each call, from the last noisy one on."""
    figure, axes = _single()
    calls = np.arange(len(study["errors"])) + study["noisy"]
    axes.axvspan(0.5, study["noisy"] + 0.25, color=ORANGE, alpha=0.18, lw=0)
    axes.annotate(
        "noise", (0.5, 1), (3, -10), xycoords=("data", "axes fraction"), textcoords="offset points",
        color=GREY, fontsize=8,
    )  # fmt: skip
    axes.plot(calls, study["errors"], color=BLUE, marker="o", ms=4, lw=1.4)
    axes.set_ylabel("change of the reconstruction")
    axes.set_xlim(left=0.5)
    axes.set_ylim(0, 1.08 * max(*study["errors"], _LEAST))
    _percent(axes)
    _call_axis(axes)
    return figure


def draw_activations(study: Study) -> Figure:
    """Nested bands of quantiles over the calls; a row for each role, a column for each depth."""
    roles = list(dict.fromkeys(one["role"] for one in study["sites"]))
    figure = new_figure(7.6, 1.6 + 1.7 * len(roles))
    for one in study["sites"]:
        row, column = roles.index(one["role"]), ("early", "middle", "late").index(one["place"])
        height = 0.7 / len(roles)
        axes = figure.add_axes((0.07 + column * 0.315, 0.5 - row * height, 0.27, height - 0.08))
        bands, calls = np.array(one["bands"]), np.array(one["calls"]) + 1
        middle = bands.shape[1] // 2
        for depth, alpha in enumerate((0.18, 0.3, 0.5)):
            axes.fill_between(
                calls, bands[:, depth], bands[:, -1 - depth], color=BLUE, alpha=alpha, lw=0
            )
        axes.plot(calls, bands[:, middle], color=INK, lw=1)
        axes.set_title(one["site"], fontsize=8, color=INK)
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(True)
        if row == len(roles) - 1:
            axes.set_xlabel("call", fontsize=8)
    return figure


DRAWINGS: Mapping[str, Callable[[Study], Figure]] = MappingProxyType(
    {
        "steps": draw_steps,
        "layers": draw_layers,
        "first_bad": draw_first_bad,
        "tolerance": draw_tolerance,
        "accumulation": draw_accumulation,
        "activations": draw_activations,
    }
)


def _single() -> tuple[Figure, Axes]:
    figure = new_figure(7.6, 4.4)
    return figure, figure.add_axes((0.1, 0.0, 0.87, 0.5))


def _say(figure: Figure, title: str, sentence: str) -> None:
    """Put the title above and the sentence below, and give the axes the room between them."""
    lines = textwrap.wrap(sentence, _LINE)
    height = figure.get_figheight()
    top, bottom = 0.42 / height, (0.2 + 0.17 * len(lines)) / height
    figure.text(0.02, 1 - 0.3 / height, title, fontsize=11, color=INK, weight="bold")
    figure.text(0.02, 0.08 / height, "\n".join(lines), fontsize=8, color=INK, va="bottom")
    titled = 0.2 if any(axes.get_title() for axes in figure.axes) else 0.0
    _spread(figure, bottom + 0.45 / height, 1 - top - (0.12 + titled) / height)


def _spread(figure: Figure, low: float, high: float) -> None:
    """Stretch all axes vertically, as they stand to each other, into the given range."""
    boxes = [axes.get_position() for axes in figure.axes]
    bottom, top = min(box.y0 for box in boxes), max(box.y1 for box in boxes)
    scale = (high - low) / (top - bottom)
    for axes, box in zip(figure.axes, boxes, strict=True):
        axes.set_position((box.x0, low + (box.y0 - bottom) * scale, box.width, box.height * scale))


def _positive(values: Sequence[float]) -> list[float]:
    return [max(value, _LEAST) for value in values]


def _error_axis(axes: Axes, values: Sequence[float]) -> None:
    least = min([value for value in values if value > 0], default=_LEAST)
    axes.set_yscale("log")
    axes.set_ylim(least / 1.6, 1.6 * max(*values, least))
    axes.yaxis.set_major_formatter(LogFormatterSciNotation(labelOnlyBase=False))
    axes.set_ylabel("relative error")
    if min(values) <= 0:
        axes.annotate(
            "curves leave the picture where the error is zero",
            (1, 0), (-3, 4), xycoords="axes fraction", textcoords="offset points",
            ha="right", color=GREY, fontsize=7,
        )  # fmt: skip


def _call_axis(axes: Axes) -> None:
    axes.set_xlabel("call")
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.grid(True)


def _percent(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
