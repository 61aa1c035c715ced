"""What `--dry-run` prints."""

from collections.abc import Mapping
from typing import Any

from bitscape.cli.quantities import duration, size
from bitscape.cli.terminal import Terminal


def show_estimate(terminal: Terminal, estimate: Mapping[str, Any], workers: int = 1) -> None:
    """Print an estimate that holds at least `seconds`, `memory_bytes` and `disk_bytes`.

    `seconds` are those of one worker; the text says those of `workers`, too.
    """
    seconds = estimate["seconds"]
    shared = f" of one worker, {duration(seconds / workers)} of {workers}" if workers > 1 else ""
    text = (
        f"about {duration(seconds)}{shared}, {size(estimate['memory_bytes'])} of "
        f"memory, {size(estimate['disk_bytes'])} of disk"
    )
    terminal.result(dict(estimate), text)
