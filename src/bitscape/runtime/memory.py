"""Peak memory: of this process, and of the accelerator."""

import resource
import sys
from pathlib import Path
from typing import TypedDict

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Peaks(TypedDict):
    """Peak bytes: resident, and allocated on the accelerator (None without one)."""

    peak_memory_bytes: int
    peak_device_bytes: int | None


def reset_peaks() -> None:
    """Start counting peak memory anew, where the system allows it."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    if _CLEAR.exists():
        # Linux, proc(5): writing 5 resets the high-water mark of resident memory.
        _CLEAR.write_text("5")


def peaks() -> Peaks:
    """The peaks since `reset_peaks` (resident: on Linux), or since the process began."""
    device = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    return {"peak_memory_bytes": peak_memory(), "peak_device_bytes": device}


def peak_memory() -> int:
    """Peak resident bytes."""
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
