import dataclasses

import pytest

from bitscape.reports import words
from bitscape.reports.results import Demo, Difference


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (0.0614, 0.0012, "+0.061 ± 0.001"),
        (1.1352, 0.0007, "+1.1352 ± 0.0007"),
        (-0.5, 2.0, "-0 ± 2"),
        (0.0, 0.0, "+0.0000 ± 0.0000"),
    ],
)
def test_difference_shows_its_error_to_one_digit(mean: float, error: float, text: str) -> None:
    assert words.difference(Difference(mean, error)) == text


def test_findings_name_every_precision_once(demo: Demo) -> None:
    found = words.findings(demo.panels[0])
    assert [sentence.split(" (")[0] for sentence in found] == ["8 bits", "4 bits", "3 bits"]


def test_findings_claim_no_loss_within_noise(demo: Demo) -> None:
    panel = demo.panels[0]
    row = dataclasses.replace(panel.rows[1], loss_difference=Difference(0.001, 0.001))
    quiet = dataclasses.replace(panel, rows=(panel.full, row))
    assert "no loss can be measured" in words.findings(quiet)[0]


def test_findings_say_when_the_loss_falls(demo: Demo) -> None:
    panel = demo.panels[0]
    row = dataclasses.replace(panel.rows[1], loss_difference=Difference(-0.1, 0.001))
    better = dataclasses.replace(panel, rows=(panel.full, row))
    assert "the loss falls by" in words.findings(better)[0]
