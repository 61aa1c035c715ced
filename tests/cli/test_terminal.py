"""Progress in a log: one line now and then, with the time that is left."""

import pytest

from bitscape.cli import terminal


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(terminal.Terminal, "note", lambda self, text: said.append(text))
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(terminal.time, "monotonic", lambda: float(next(clock)))
    return said


def test_the_time_left_counts_only_what_was_done_since_the_start(lines: list[str]) -> None:
    with terminal.Terminal(verbose=True).progress() as report:
        report("train", 900, 1000)
        report("train", 910, 1000)
    first, second = lines
    assert first.endswith("900/1000, ETA unknown")
    # Ten steps took ten or twenty seconds of this clock, so ninety take minutes, not seconds.
    assert second.endswith("min")
