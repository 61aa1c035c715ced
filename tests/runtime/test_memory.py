"""Peak memory: what was allocated since the reset."""

import numpy as np

from bitscape.runtime import peaks, reset_peaks


def test_peak_memory_sees_what_was_allocated_since_the_reset() -> None:
    reset_peaks()
    before = peaks()["peak_memory_bytes"]
    block = np.ones(32 * 2**20, dtype=np.uint8)
    assert peaks()["peak_memory_bytes"] - before > 24 * 2**20
    del block
