"""A study arranged for drawing: ladders, and in each the settings with their chosen law."""

import re
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from bitscape.laws import (
    FrontierEntry,
    Ladder,
    Law,
    LawEntry,
    SettingEntry,
    Study,
    law_of,
    shared_protocol,
)
from bitscape.reports.study.words import names

Entry = TypeVar("Entry", LawEntry, FrontierEntry)


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
        return self.setting.full_precision


class View(NamedTuple):
    """One ladder of a study; `slug` names its files and anchors.

    `origin` is its source, and its protocol too where the series was measured by several.
    """

    study: Study
    ladder: Ladder
    origin: str
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
    """Every ladder of the study: source, series and protocol."""
    labels = names(study)
    return [_view(study, labels, ladder) for ladder in study.ladders]


def stem(source: str) -> str:
    """A source as the beginning of a file's name."""
    return plain_word(source.rsplit("/", 1)[-1]).strip("-.").replace(".", "-")


def plain_word(text: str) -> str:
    """A text with hyphens for all that a file's name should not hold."""
    return re.sub(r"[^a-zA-Z0-9.]+", "-", text)


def even(low: float, high: float, count: int = 40) -> np.ndarray:
    """Numbers evenly spaced in logarithm."""
    return np.exp(np.linspace(np.log(low), np.log(high), count))


def _view(study: Study, labels: Sequence[str], ladder: Ladder) -> View:
    def own(entries: Sequence[Entry]) -> tuple[Entry, ...]:
        return tuple(one for one in entries if study.settings[one.setting].ladder == ladder)

    single = shared_protocol(study, ladder)
    name = f"{stem(ladder.source)}-{ladder.series}"
    slug = name if single else f"{name}-{plain_word(ladder.protocol)}".strip("-")
    return View(
        study=study,
        ladder=ladder,
        origin=ladder.source if single else f"{ladder.source}, {ladder.protocol}",
        slug=slug.lower().replace(".", "-"),
        lines=tuple(_line(study, labels, law) for law in own(study.laws) if law.chosen),
        cells=own(study.frontier),
        unguarded=own(study.unguarded),
    )


def _line(study: Study, labels: Sequence[str], entry: LawEntry) -> Line:
    setting = study.settings[entry.setting]
    return Line(
        setting=setting,
        entry=entry,
        law=law_of(entry),
        label=labels[entry.setting],
        bits=tuple(one.cost(study.axis) for one in setting.points),
        quality=tuple(one.quality for one in setting.points),
    )
