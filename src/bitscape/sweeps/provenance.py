"""Where a number came from: version, commit, machine and time."""

import importlib.metadata
import platform
import subprocess
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import torch


def version() -> str:
    """The installed version of bitscape."""
    return importlib.metadata.version("bitscape")


def other_versions(versions: Iterable[str]) -> dict[str, int]:
    """How many of `versions` there are of each that is not the installed one."""
    return {name: count for name, count in Counter(versions).items() if name != version()}


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


def _git(*words: str, folder: Path) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
