"""What `--dry-run` prints."""

from collections.abc import Mapping
from typing import Any

from bitscape.cli.terminal import Terminal


def show_estimate(terminal: Terminal, estimate: Mapping[str, Any]) -> None:
    """Print an estimate that holds at least `seconds`, `memory_bytes` and `disk_bytes`."""
    text = (
        f"about {duration(estimate['seconds'])}, {size(estimate['memory_bytes'])} of memory, "
        f"{size(estimate['disk_bytes'])} of disk"
    )
    terminal.result(dict(estimate), text)


def duration(seconds: float) -> str:
    """ "50 s", "12 min", "3.2 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(count: int) -> str:
    """ "850 kB", "1.2 GB"."""
    number = float(count)
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"
