"""A study arranged for drawing: ladders, and in each the settings with their chosen law."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bitscape.laws import FrontierEntry, Law, LawEntry, SettingEntry, Study, law_of
from bitscape.reports.study.words import names


class Line(NamedTuple):
    """One setting with its chosen law, in reach of its measurements."""

    setting: SettingEntry
    entry: LawEntry
    law: Law
    label: str
    bits: tuple[float, ...]
    quality: tuple[float, ...]

    @property
    def full(self) -> bool:
        """Whether nothing was quantized."""
        return min(self.setting.w_bits, self.setting.a_bits) >= 16


class View(NamedTuple):
    """One source and series of a study; `slug` names its files and anchors."""

    study: Study
    source: str
    series: str
    slug: str
    lines: tuple[Line, ...]
    cells: tuple[FrontierEntry, ...]
    unguarded: tuple[FrontierEntry, ...]

    @property
    def sound(self) -> list[Line]:
        """The lines with two degrees of freedom or more; all of them where there are none."""
        return [line for line in self.lines if line.law.dof >= 2] or list(self.lines)

    @property
    def drawn(self) -> bool:
        """Whether there is anything to compare, hence to draw."""
        return sum(not line.full for line in self.lines) > 0


def views(study: Study) -> list[View]:
    """Every source and series of the study."""
    ladders = dict.fromkeys((one.source, one.series) for one in study.settings)
    labels = names(study)
    return [_view(study, labels, *ladder) for ladder in ladders]


def stem(source: str) -> str:
    """A source as the beginning of a file's name."""
    return re.sub(r"[^a-zA-Z0-9.]+", "-", source.rsplit("/", 1)[-1]).strip("-.").replace(".", "-")


def even(low: float, high: float, count: int = 40) -> np.ndarray:
    """Numbers evenly spaced in logarithm."""
    return np.exp(np.linspace(np.log(low), np.log(high), count))


def _view(study: Study, labels: Sequence[str], source: str, series: str) -> View:
    laws = [
        one for one in study.laws if one.chosen and (one.source, one.series) == (source, series)
    ]
    return View(
        study=study,
        source=source,
        series=series,
        slug=f"{stem(source)}-{series}".lower().replace(".", "-"),
        lines=tuple(_line(study, labels, law) for law in laws),
        cells=tuple(one for one in study.frontier if (one.source, one.series) == (source, series)),
        unguarded=tuple(
            one for one in study.unguarded if (one.source, one.series) == (source, series)
        ),
    )


def _line(study: Study, labels: Sequence[str], entry: LawEntry) -> Line:
    setting = study.settings[entry.setting]
    model_axis = study.axis == "model-bits"
    return Line(
        setting=setting,
        entry=entry,
        law=law_of(entry),
        label=labels[entry.setting],
        bits=tuple(one.model_bits if model_axis else one.compute_bits for one in setting.points),
        quality=tuple(one.quality for one in setting.points),
    )
