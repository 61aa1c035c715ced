"""Where a number came from: version, commit, machine, time and memory."""

import importlib.metadata
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def version() -> str:
    """The installed version of bitscape."""
    return importlib.metadata.version("bitscape")


def commit() -> str | None:
    """The commit this code was checked out from, "-dirty" if changed; None outside a checkout."""
    here = Path(__file__)
    # A package installed inside another project's checkout must not borrow that commit.
    if _git("ls-files", "--error-unmatch", here.name, folder=here.parent) is None:
        return None
    head = _git("rev-parse", "HEAD", folder=here.parent)
    changes = _git("status", "--porcelain", "--untracked-files=no", folder=here.parent)
    return f"{head}-dirty" if head and changes else head


def machine() -> str:
    """Processor, cores and accelerator in words."""
    words = [platform.machine(), f"{torch.get_num_threads()} threads", f"torch {torch.__version__}"]
    if torch.cuda.is_available():
        words.append(torch.cuda.get_device_name())
    return ", ".join(words)


def now() -> str:
    """The time in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def reset_peaks() -> None:
    """Start counting peak memory anew, where the system allows it."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    if _CLEAR.exists():
        # Linux, proc(5): writing 5 resets the high-water mark of resident memory.
        _CLEAR.write_text("5")


def peak_memory() -> int:
    """Peak resident bytes since `reset_peaks` (Linux), or since the process began."""
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_device_memory() -> int | None:
    """Peak bytes allocated on the accelerator since `reset_peaks`; None without one."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None


def _git(*words: str, folder: Path) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
