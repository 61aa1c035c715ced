"""Measuring the Fréchet distances that are committed with the package.

    python -m bitscape.reports.measure --out src/bitscape/reports/committed.json

Samples are kept in `--workspace`, so a stopped run continues, and the table is written after each
value. Settings and seeds are those of the demo; only the sample count differs.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

from bitscape.api import load
from bitscape.reports.collect import measure, stored
from bitscape.reports.committed import Committed, write_committed
from bitscape.reports.demo import Narrator
from bitscape.reports.settings import full_plan
from bitscape.sweeps.provenance import commit


def main() -> None:
    """Measure every model of the demo in every setting at the full count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workspace", type=Path, default=Path("runs/committed"))
    parser.add_argument("--samples", type=int, default=5000)
    options = parser.parse_args()
    plan = dataclasses.replace(full_plan(), samples=options.samples)
    table = Committed("", plan.samples, commit())
    say = Narrator(len(plan.models) * len(plan.settings))
    for name in plan.models:
        full = load(name)
        for setting in plan.settings:
            say(f"{name} {setting.recipe}")
            with tempfile.TemporaryDirectory() as folder:
                model = stored(full, setting, Path(folder) / "artefact", plan.seed)
            numbers = measure(model, full, plan, options.workspace)
            table = dataclasses.replace(table, protocol=numbers["protocol"])
            table = table.add(name, setting.recipe, numbers["fd_shapes"]["mean"])
            write_committed(table, options.out)


if __name__ == "__main__":
    main()
