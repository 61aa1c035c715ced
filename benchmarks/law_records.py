"""How long a study of many run records takes: reading them, fitting the laws, drawing the page.

    python benchmarks/law_records.py --records 10000

The records are those of a sweep: two families of four sizes, full precision, and methods at ten
precisions, as many calibration seeds a cell as the count asks for. Their losses follow a law of the
nominal bits with 2 % of noise. They are written to a folder that is removed in the end; writing
them is not timed. Prints one line of JSON with the seconds of each part and their sum.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from itertools import count, islice, product
from pathlib import Path

import numpy as np

from bitscape.laws import RECORDS, Bits, Quality, RunRecord, read_table, study, to_line
from bitscape.reports.study import summary, write_study

FAMILIES = {"var": 1.0, "dit": 1.3}
SIZES = {"xs": 8e4, "s": 1.6e5, "m": 6e5, "l": 2e6}
METHODS = ("rtn", "gptq", "auto", "qat", "topkld")
PRECISIONS = ((8, 16), (6, 16), (4, 16), (3, 16), (2, 16), (8, 8), (6, 6), (4, 8), (4, 4), (3, 8))
NOISE = 0.02


def cells() -> list[tuple[str, str, str, int, int]]:
    """Family, size, method, weight bits and activation bits of every cell."""
    quantized = [(method, *bits) for method, bits in product(METHODS, PRECISIONS)]
    settings = [("none", 16, 16), *quantized]
    return [(*place, *one) for place, one in product(product(FAMILIES, SIZES), settings)]


def records(total: int) -> Iterator[RunRecord]:
    """`total` finished runs, one seed of all cells after another."""
    rng = np.random.default_rng(0)
    return islice((record(cell, seed, rng) for seed in count() for cell in cells()), total)


def record(cell: tuple[str, str, str, int, int], seed: int, rng: np.random.Generator) -> RunRecord:
    """One run of a cell."""
    family, size, method, w_bits, a_bits = cell
    scheme, weights = f"W{w_bits}A{a_bits}", SIZES[size]
    harm = 1 + (METHODS.index(method) + 1) / w_bits**2 + 1 / a_bits**2 if method != "none" else 1.0
    law = 10 * FAMILIES[family] * harm * (w_bits * weights) ** -0.1
    full = 10 * FAMILIES[family] * (16 * weights) ** -0.1
    value = float(law * np.exp(rng.normal(0, NOISE)))
    metrics = {
        "nll": {"mean": value, "n": 2000, "difference": {"standard_error": 0.01 * value}},
        "full_precision": {"nll": {"mean": full}},
    }
    return RunRecord(
        key=f"{family}-{size}-{method}-{scheme}-{seed}",
        model=f"zoo:{family}-{size}",
        family=family,
        parameters=int(weights),
        recipe=f"{method}-{scheme.lower()}",
        method=method,
        scheme=scheme,
        seed=seed,
        evaluation={"n": 100},
        status="done",
        bits=Bits(
            nominal_weight=w_bits,
            actual_weight=w_bits + 0.25,
            nominal_model=w_bits * weights,
            actual_model=(w_bits + 0.25) * weights,
            compute=w_bits * a_bits * weights,
        ),
        quality=Quality(protocol="drawn", n=100, seeds=(0,), metrics=metrics),
        seconds=1.0,
        version="0",
        commit=None,
        machine="none",
        created="2026-01-01T00:00:00+00:00",
    )


def timed(total: int, folder: Path) -> dict[str, float]:
    """Seconds to load, fit and draw `total` records."""
    path = folder / RECORDS
    path.write_bytes(b"".join(map(to_line, records(total))))
    marks = [time.perf_counter()]
    rows = read_table(path)
    marks.append(time.perf_counter())
    found = study(rows)
    marks.append(time.perf_counter())
    write_study(found, folder / "law")
    summary(found)
    marks.append(time.perf_counter())
    parts = np.diff(marks).round(2).tolist()
    return {
        "records": total,
        "settings": len(found.settings),
        **dict(zip(("load", "fit", "draw"), parts, strict=True)),
        "sum": round(marks[-1] - marks[0], 2),
    }


def main() -> None:
    """Print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(timed(options.records, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
