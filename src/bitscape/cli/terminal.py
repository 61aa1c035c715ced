"""What a command says: its result on stdout, everything else on stderr."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console, JustifyMethod
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from bitscape.cli.quantities import duration
from bitscape.runtime import Choice

_LOG_SECONDS = 15.0
_PIPE_WIDTH = 200

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Terminal:
    """The voice of one command; `json` chooses machine-readable results."""

    json: bool = False
    verbose: bool = False

    def result(self, value: Any, text: str | Table) -> None:
        """Print `value` as JSON, or `text` for people."""
        if self.json:
            sys.stdout.write(json.dumps(value, indent=2) + "\n")
        elif isinstance(text, Table):
            # A table cut to the width of a pipe would lose names that scripts look for.
            width = None if sys.stdout.isatty() else _PIPE_WIDTH
            Console(file=sys.stdout, width=width).print(text)
        else:
            sys.stdout.write(text + "\n")

    def note(self, text: str) -> None:
        """Say `text` on stderr."""
        Console(stderr=True, soft_wrap=True).print(Text(text))

    def detail(self, text: str) -> None:
        """Say `text` on stderr when the user asked for more."""
        if self.verbose:
            self.note(text)

    def kernels(self, choices: Sequence[Choice]) -> None:
        """Say, when asked for more, which kernel each site runs on and why."""
        for choice in choices:
            kind = "real" if choice.real else "simulated"
            self.detail(f"{choice.name}: {choice.kernel} ({kind}) {choice.reason}".rstrip())

    @contextmanager
    def progress(self) -> Iterator[Report]:
        """Yield `report(stage, done, total)`, drawn as one bar a stage with its remaining time."""
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        # A log file gets a line now and then instead of a bar.
        with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
            yield _Stages(bars, self).report


@dataclass
class _Stages:
    """One bar for each stage that has been reported."""

    bars: Progress
    terminal: Terminal

    def __post_init__(self) -> None:
        self.known: dict[str, Any] = {}
        self.started: dict[str, tuple[float, int]] = {}
        self.spoken = time.monotonic()

    def report(self, stage: str, done: int, total: int) -> None:
        if stage not in self.known:
            self.known[stage] = self.bars.add_task(stage, total=total)
            self.started[stage] = (time.monotonic(), done)
        self.bars.update(self.known[stage], completed=done, total=total)
        if self.bars.disable:
            self.say(stage, done, total)

    def say(self, stage: str, done: int, total: int) -> None:
        """A line for a log, now and then; every time when the user asked for more."""
        now = time.monotonic()
        if not self.terminal.verbose and now - self.spoken < _LOG_SECONDS:
            return
        self.spoken = now
        began, before = self.started[stage]
        # A resumed job starts far along: only what was done since tells its pace.
        pace = (now - began) / (done - before) if done > before else None
        eta = "unknown" if pace is None else duration(pace * (total - done))
        self.terminal.note(f"{stage}: {done}/{total}, ETA {eta}")


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> Table:
    """A table whose numbers stand to the right; names, in its first column, are never cut.

    Other texts wrap where they have not room enough.
    """
    result = Table(title=title or None, box=None, pad_edge=False, title_justify="left")
    for index, name in enumerate(header):
        numeric = all(isinstance(row[index], int | float) for row in rows) and bool(rows)
        justify: JustifyMethod = "right" if numeric else "left"
        result.add_column(name, justify=justify, no_wrap=index == 0 or numeric)
    for row in rows:
        result.add_row(*(Text(_cell(value)) for value in row))
    return result


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
