"""`python -m bitscape.reports.benchmark RUNS... --out STEM` writes STEM.md and STEM.png.

RUNS are folders of sweeps or files of records.
"""

import argparse
import sys
from pathlib import Path

from bitscape.files import write_whole
from bitscape.laws import latest, load
from bitscape.reports.benchmark.figure import draw
from bitscape.reports.benchmark.results import failures, results
from bitscape.reports.benchmark.tables import page
from bitscape.sweeps import RECORDS


def main() -> None:
    """Write the tables and the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    files = [path / RECORDS if path.is_dir() else path for path in options.runs]
    records = list(latest(record for path in files for record in load(path)).values())
    if not records:
        sys.exit(f"{', '.join(map(str, options.runs))} holds no records: run `bitscape sweep`")
    found = results(records)
    if all(result.untouched for result in found):
        sys.exit("there is nothing to compare: no recipe but full precision has been run")
    write_whole(options.out.with_suffix(".md"), page(found, failures(records)).encode())
    draw(found, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
