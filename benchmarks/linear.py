"""Time one linear layer in every precision: python benchmarks/linear.py [--rows 256 1024] [--json].

All candidates of a table take turns in one process, so that a busy machine slows them alike; the
ratios are of medians. Quantizing the activations is part of every time. In the first table inputs
and outputs are bfloat16 (float32 for fp32), in the second all but bf16 take and give float32.
"""

import argparse
import json

import torch
from torch import nn

from bitscape.runtime import BlockLatency, describe_machine, time_block
from bitscape.structure import Role


def main() -> None:
    """Print the tables, or the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1024)
    parser.add_argument("--outputs", type=int, default=4096)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 16, 256, 1024])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each candidate")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tables = {
        f"{rows} rows, {dtype}": measure(options, rows, dtype)
        for dtype in (torch.bfloat16, torch.float32)
        for rows in options.rows
    }
    if options.json:
        print(json.dumps({"machine": describe_machine(), "tables": as_json(tables)}, indent=2))
        return
    print(", ".join(f"{key} {value}" for key, value in describe_machine().items()))
    for title, table in tables.items():
        print(f"\n{options.inputs} -> {options.outputs}, {title}")
        show(table)


def measure(options: argparse.Namespace, rows: int, dtype: torch.dtype) -> list[BlockLatency]:
    """Latencies of the layer on `rows` random rows."""
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(options.inputs, options.outputs))
    x = torch.randn(1, rows, options.inputs)
    return time_block(layer, [x], roles={"0": Role.FC1}, dtype=dtype, seconds=options.seconds)


def show(table: list[BlockLatency]) -> None:
    """Print one line for each variant."""
    medians = {row.variant: row.latency.median for row in table}
    for row in table:
        latency = row.latency
        ratios = [f"x{medians[name] / latency.median:5.2f} {name}" for name in ("fp32", "bf16")]
        kernels = ", ".join(sorted({choice.kernel for choice in row.choices}))
        spread = f"({latency.p10:.3f} to {latency.p90:.3f})"
        print(
            f"  {row.variant:12} {latency.median:9.3f} ms {spread:20}  {'  '.join(ratios)}"
            f"  {row.resident_bytes / 1e6:6.2f} MB  {kernels}"
        )


def as_json(tables: dict[str, list[BlockLatency]]) -> dict[str, dict[str, dict[str, float]]]:
    """Medians and percentiles by table and variant."""
    return {
        title: {
            row.variant: {
                "median": row.latency.median,
                "p10": row.latency.p10,
                "p90": row.latency.p90,
                "resident_bytes": row.resident_bytes,
            }
            for row in table
        }
        for title, table in tables.items()
    }


if __name__ == "__main__":
    main()
