"""Times and sizes as people read and write them."""

import re

from bitscape.runtime import Peaks

UNITS = {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


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


def of_peaks(peaks: Peaks) -> str:
    """ "peak memory 850 MB", and on the accelerator if there is one."""
    device = peaks["peak_device_bytes"]
    beside = "" if device is None else f" and {size(device)} on the device"
    return f"peak memory {size(peaks['peak_memory_bytes'])}{beside}"


def bytes_of(text: str) -> float:
    """Bytes of "1.5GB", "700 MiB", "8e8"; ValueError for anything else."""
    found = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([a-zA-Z]*)\s*", text)
    unit = UNITS.get(found[2].upper() or "B") if found else None
    try:
        return float(found[1]) * unit if found and unit else _not_a_size(text)
    except ValueError:
        return _not_a_size(text)


def _not_a_size(text: str) -> float:
    raise ValueError(f"--memory {text!r}: write a number with B, kB, MB, GB, KiB, MiB or GiB")
