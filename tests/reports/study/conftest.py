"""A small study with every kind of mark: extrapolated, off the chart, too few sizes."""

import pytest

from bitscape.laws import Study, study
from bitscape.laws.table import read_csv

SIZES = (1e8, 2e8, 4e8, 8e8)
METHODS = (
    ("fp16", 16, 16, 3.0, SIZES),
    ("rtn", 8, 16, 2.4, SIZES),
    ("rtn", 4, 16, 9.0, SIZES),
    ("good <b>", 4, 8, 2.2, SIZES),
    ("few", 4, 16, 2.2, SIZES[:2]),
)
HEADER = "source,model,family,params,method,w_bits,a_bits,metric,value,protocol"


@pytest.fixture(scope="session")
def small_study() -> Study:
    """Five settings of one family."""
    lines = [
        f"paper,m{size:g},var,{size},{method},{w},{a},fid,"
        f"{factor * (w * size / 1e9) ** -0.3 * (1 + 0.02 * (-1) ** index)},50k samples"
        for method, w, a, factor, sizes in METHODS
        for index, size in enumerate(sizes)
    ]
    return study(read_csv([HEADER, *lines], "test"), at=2.5)
