import io

from rich.console import Console
from rich.table import Table

from bitscape.reports.results import Demo
from bitscape.reports.table import PIPE_WIDTH, panel_table, speed_table, speed_title


def written(table: Table) -> str:
    """The table as it is written to a pipe."""
    page = io.StringIO()
    Console(width=PIPE_WIDTH, file=page).print(table)
    return page.getvalue()


def test_every_setting_has_a_row_that_is_not_cut(demo: Demo) -> None:
    for panel in demo.panels:
        text = written(panel_table(panel, demo))
        assert "…" not in text
        for row in panel.rows:
            assert row.setting.recipe in text


def test_simulated_kernels_are_named_as_such(demo: Demo) -> None:
    assert demo.speed is not None
    text = written(speed_table(demo.speed))
    simulated = [timing for timing in demo.speed.timings if not timing.real]
    assert text.count("simulated") == len(simulated)
    assert "random weights" in speed_title(demo.speed)
