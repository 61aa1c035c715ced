"""Time VAR-d16's transformer over a whole generation: python benchmarks/var_d16.py [--json].

A batch of `--batch` images with guidance, which doubles it, through all scales with a key-value
cache; random weights, random inputs, no sampling and no decoding. At each scale all candidates take
their turn, so that a slow second of a busy machine falls on all of them; `--repeat` generations, of
which the sum of each scale's smallest time counts. Quantized networks compute outside their sites
in the fastest float type of the machine; quantizing activations is part of the time. Static ranges
come from one call on random inputs.
"""

import argparse
import json
import time

import torch

from bitscape.calibration import CalibrationSet
from bitscape.models import FAMILIES, VARConfig
from bitscape.recipes import Recipe, apply
from bitscape.runtime import describe_machine, native_dtype, pack_network, resident_bytes
from bitscape.structure import Call, Pipeline, caches, constant_step, invoke

FLOATS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def main() -> None:
    """Print one line for each candidate, or the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", default="d16", help="a size of VAR, or tiny")
    parser.add_argument(
        "--candidates",
        nargs="+",
        default=["fp32", "bf16", "W8A8,static", "W8A8", "W4A16"],
        help="or any scheme",
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pipelines, kernels = {}, {}
    for name in options.candidates:
        pipelines[name], kernels[name] = candidate(options.size, name)
    seconds = generate(pipelines, options.batch, options.repeat)
    report = {
        "machine": describe_machine(),
        "batch": options.batch,
        "rows": {
            name: {
                "seconds": sum(seconds[name]),
                "by_scale": seconds[name],
                "resident_bytes": resident_bytes(pipelines[name].network),
                "kernels": kernels[name],
            }
            for name in pipelines
        },
    }
    print(json.dumps(report, indent=2)) if options.json else show(report)


def candidate(size: str, name: str) -> tuple[Pipeline, list[str]]:
    """The model in a float type, or rounded to nearest by a scheme and packed."""
    pipeline = untrained(size)
    network = pipeline.network.requires_grad_(False)
    if name in FLOATS:
        network.to(FLOATS[name])
        return pipeline, []
    calibration = CalibrationSet((whole_sequence(network.config),), {"inputs": "random"})
    apply(Recipe(name=name, method="rtn", scheme=name), pipeline, calibration=calibration)
    network.to(native_dtype())
    return pipeline, sorted({choice.kernel for choice in pack_network(network)})


def whole_sequence(config: VARConfig) -> Call:
    """One teacher-forced call on random inputs, all scales at once."""
    counts = torch.tensor(config.counts)
    step = torch.repeat_interleave(torch.arange(len(counts)), counts)[None]
    inputs = torch.randn(1, int(counts.sum()), config.latent_channels)
    return Call("", step, (inputs, torch.zeros(1, dtype=torch.long), 0))


def untrained(size: str) -> Pipeline:
    """The network with random weights; a tokenizer is not needed, and the tiny one is small."""
    family = FAMILIES["var"]
    if size == "tiny":
        return family.tiny()
    config = family.sizes[size]
    torch.manual_seed(0)
    small = family.tiny_tokenizer(family.tiny_config)
    return family.pipeline(f"var-{size}", size, config, small)


@torch.inference_mode()
def generate(pipelines: dict[str, Pipeline], batch: int, repeat: int) -> dict[str, list[float]]:
    """The smallest seconds of each scale, by candidate."""
    config = next(iter(pipelines.values())).adapter.config
    counts = config.counts
    labels = torch.cat([torch.arange(batch) % 10, torch.full((batch,), config.num_classes)])
    best = {name: [float("inf")] * len(counts) for name in pipelines}
    for _ in range(repeat):
        stores = {name: caches(config.depth, sum(counts)) for name in pipelines}
        first = 0
        for scale, count in enumerate(counts):
            inputs = torch.randn(2 * batch, count, config.latent_channels)
            for name, pipeline in pipelines.items():
                state = {"caches": stores[name]}
                call = Call("", constant_step(scale), (inputs, labels, first), state)
                took = timed(pipeline, call)
                best[name][scale] = min(best[name][scale], took)
            first += count
    return best


def timed(pipeline: Pipeline, call: Call) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    invoke(pipeline.network, pipeline.clocks, call)
    return time.perf_counter() - start


def show(report: dict) -> None:
    """Print seconds, memory, and both in proportion to the floats."""
    print(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    print(f"\nVAR, batch of {report['batch']} with guidance, transformer alone")
    rows = report["rows"]
    for name, row in rows.items():
        faster = [
            f"x{rows[other]['seconds'] / row['seconds']:5.2f} {other}"
            for other in FLOATS
            if other in rows
        ]
        memory = f"{row['resident_bytes'] / 1e6:8.1f} MB"
        if "bf16" in rows:
            memory += f" ({row['resident_bytes'] / rows['bf16']['resident_bytes']:.3f} of bf16)"
        kernels = ", ".join(row["kernels"])
        print(f"  {name:12} {row['seconds']:8.2f} s  {'  '.join(faster)}  {memory}  {kernels}")


if __name__ == "__main__":
    main()
