"""The demo's numbers as a table for the terminal."""

from rich.console import Console
from rich.table import Table

from bitscape.reports import words
from bitscape.reports.results import Demo, Panel, Speed

PIPE_WIDTH = 120


def print_tables(demo: Demo) -> None:
    """Print one table a model and one of the timings to stdout."""
    console = Console()
    if not console.is_terminal:
        # Written to a file or a pipe there is no width to respect, and cut columns help nobody.
        console = Console(width=PIPE_WIDTH)
    for panel in demo.panels:
        console.print(panel_table(panel, demo))
    if demo.speed is not None:
        console.print(speed_title(demo.speed))
        console.print(speed_table(demo.speed))


def panel_table(panel: Panel, demo: Demo) -> Table:
    """One model: a row a setting."""
    title = f"{panel.model}, {panel.parameters / 1e6:.2f} million weights"
    table = Table(title=title, title_justify="left")
    table.add_column("recipe")
    heads = (
        "file",
        "of 16 bits",
        f"{panel.loss_name} difference",
        f"FD-shapes\n(preview, n={demo.preview_samples})",
        f"FD-shapes\n(committed, n={demo.committed_samples})",
        "class accuracy",
    )
    for head in heads:
        table.add_column(head, justify="right")
    for row in panel.rows:
        table.add_row(
            row.setting.recipe,
            words.megabytes(row.file_bytes),
            words.share(row, panel.full),
            words.difference(row.loss_difference),
            f"{row.fd_preview:.1f}",
            "none" if row.fd_committed is None else f"{row.fd_committed:.1f}",
            f"{row.class_accuracy:.3f}",
        )
    return table


def speed_title(speed: Speed) -> str:
    """What was timed; apart from the table, which is too narrow for it."""
    return f"{speed.block} (random weights), {speed.rows} tokens at once, {speed.machine}"


def speed_table(speed: Speed) -> Table:
    """One line an arithmetic."""
    table = Table()
    table.add_column("arithmetic")
    for head in ("median ms", "p10", "p90", "weights"):
        table.add_column(head, justify="right")
    table.add_column("kernel")
    for timing in speed.timings:
        table.add_row(
            timing.name,
            *(f"{value:.1f}" for value in (timing.median_ms, timing.p10_ms, timing.p90_ms)),
            words.megabytes(timing.weight_bytes),
            timing.kernel if timing.real else f"{timing.kernel} (simulated)",
        )
    return table
