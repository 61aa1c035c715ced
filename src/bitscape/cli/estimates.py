"""What `--dry-run` prints."""

from collections.abc import Mapping
from typing import Any

from bitscape.cli.quantities import duration, size
from bitscape.cli.terminal import Terminal


def show_estimate(terminal: Terminal, estimate: Mapping[str, Any]) -> None:
    """Print an estimate that holds at least `seconds`, `memory_bytes` and `disk_bytes`."""
    text = (
        f"about {duration(estimate['seconds'])}, {size(estimate['memory_bytes'])} of memory, "
        f"{size(estimate['disk_bytes'])} of disk"
    )
    terminal.result(dict(estimate), text)
