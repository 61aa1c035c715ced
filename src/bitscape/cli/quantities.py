"""Times and sizes as people read and write them."""

import re

from bitscape.laws.words import size
from bitscape.runtime import Peaks

__all__ = ["bytes_of", "duration", "of_peaks", "size"]

UNITS = {"B": 1} | {
    f"{prefix}{unit}": base**power
    for power, prefix in enumerate("KMGT", start=1)
    for unit, base in (("B", 1000), ("IB", 1024))
}


def duration(seconds: float) -> str:
    """ "50 s", "12 min", "3.2 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def of_peaks(peaks: Peaks) -> str:
    """ "peak memory 850 MB", and on the accelerator if there is one."""
    device = peaks["peak_device_bytes"]
    beside = "" if device is None else f" and {size(device)} on the device"
    return f"peak memory {size(peaks['peak_memory_bytes'])}{beside}"


def bytes_of(text: str) -> float:
    """Bytes of "1.5GB", "700 MiB", "8e8"; ValueError for anything else.

    "gb" in small letters is bytes, too; the "Gb" of bits is refused.
    """
    found = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([a-zA-Z]*)\s*", text)
    unit = UNITS.get(found[2].upper() or "B") if found else None
    if found and unit and found[2].endswith("b") and not found[2].islower():
        meant = f"{found[1]}{found[2].removesuffix('b')}B"
        raise ValueError(f"--memory {text!r}: a small b means bits; write {meant} for bytes")
    try:
        return float(found[1]) * unit if found and unit else _not_a_size(text)
    except ValueError:
        return _not_a_size(text)


def _not_a_size(text: str) -> float:
    raise ValueError(f"--memory {text!r}: write a number with B, kB, MB, GB or TB, or KiB to TiB")
