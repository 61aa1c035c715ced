"""Seconds for one image of each family, in float32 and bfloat16: python benchmarks/families.py.

The smallest released size of each family, or `--models`; random weights, one image with the
published sampler, guidance included; the tokenizer's decoder is in float32, as `load` keeps it.
Calls of the network that carry a cache are all run, for their cost grows. Calls without one, that
is with the same sub-network and shapes, cost the same: `--repeat` of these are run, and the median
of their times counts for the rest, which are answered with the last output. A row says how many of
how many calls were run. The sampler's own work is run and timed in full. `--out` writes JSON.
"""

import argparse
import json
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bitscape.artefacts import without_weights
from bitscape.models import FAMILIES
from bitscape.runtime import describe_machine
from bitscape.structure import Call, Pipeline, Randomness, invoke

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
MODELS = (
    "var-d16",
    "dit-XL-2",
    "largedit-3B",
    "rar-b",
    "mar-base",
    "llamagen-B-256",
    "par-XL-4x",
    "unet-cifar10",
)


def main() -> None:
    """Print one line for each model as it is finished; the whole as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="or FAMILY-tiny")
    parser.add_argument("--dtypes", nargs="+", default=list(DTYPES), choices=DTYPES)
    parser.add_argument("--repeat", type=int, default=3, help="timed calls of each shape")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    report: dict[str, Any] = {"machine": describe_machine(), "repeat": options.repeat, "rows": {}}
    print(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    print(f"{'one image':16} " + " ".join(f"{f's {name}':>9}" for name in options.dtypes))
    for name in options.models:
        rows = report["rows"][name] = measure(name, options.dtypes, options.repeat)
        show(name, rows)
        if options.out is not None:
            options.out.write_text(json.dumps(report, indent=2) + "\n")


def measure(name: str, dtypes: list[str], repeat: int) -> dict[str, dict[str, Any]]:
    """The rows of one model, by dtype; a model is built once for each, so that one is held."""
    rows = {}
    for dtype in dtypes:
        pipeline = untrained(name, DTYPES[dtype])
        rows[dtype] = one_image(pipeline, repeat)
        rows[dtype]["weights"] = sum(p.numel() for p in pipeline.network.parameters())
    return rows


def untrained(name: str, dtype: torch.dtype) -> Pipeline:
    """The pipeline with random weights; those of the network are drawn in `dtype`."""
    family, _, size = name.partition("-")
    if size == "tiny":
        pipeline = FAMILIES[family].tiny()
        pipeline.network.to(dtype)
        return pipeline
    # Initialising billions of weights as training does takes minutes.
    with without_weights():
        pipeline = FAMILIES[family].build(size)
    pipeline.network.to(dtype)
    torch.manual_seed(0)
    for part in (pipeline.network, pipeline.tokenizer):
        draw_weights(part)
    return pipeline


def draw_weights(part: nn.Module) -> None:
    """Give every parameter on the meta device values of variance 1 / fan-in, vectors ones."""
    for module in part.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            value = torch.ones_like(parameter, device="cpu")
            if parameter.ndim > 1:
                spread = (3 / parameter[0].numel()) ** 0.5
                value.uniform_(-spread, spread)
            setattr(module, name, nn.Parameter(value, requires_grad=False))


@torch.inference_mode()
def one_image(pipeline: Pipeline, repeat: int) -> dict[str, Any]:
    """Seconds of the network, the sampler and the decoder, and how many calls were run."""
    trajectory = pipeline.adapter.trajectory(
        pipeline.network, pipeline.conditions([0]), Randomness(0, range(1)), **pipeline.sampler
    )
    answers = Answers(pipeline, repeat)
    began = time.perf_counter()
    try:
        call = next(trajectory)
        while True:
            call = trajectory.send(answers.to(call))
    except StopIteration as stop:
        latents = stop.value
    ended = time.perf_counter()
    pipeline.adapter.decode(pipeline.tokenizer, latents)
    decoder = time.perf_counter() - ended
    network, sampler = sum(answers.counted), ended - began - sum(answers.taken)
    return {
        "seconds": network + sampler + decoder,
        "network": network,
        "sampler": sampler,
        "decoder": decoder,
        "calls": len(answers.counted),
        "run": len(answers.taken),
    }


@dataclass
class Answers:
    """Outputs of the network, run or repeated: seconds `taken` by those run, `counted` for all."""

    pipeline: Pipeline
    repeat: int
    taken: list[float] = field(default_factory=list)
    counted: list[float] = field(default_factory=list)
    known: dict[tuple[Any, ...], tuple[list[float], Tensor]] = field(default_factory=dict)

    def to(self, call: Call) -> Tensor:
        """The output of `call`, or of the last call like it."""
        kind = shape_of(call)
        times, output = self.known.get(kind, ([], torch.empty(0)))
        if not call.state and len(times) >= self.repeat:
            self.counted.append(statistics.median(times))
            return output
        start = time.perf_counter()
        output = invoke(self.pipeline.network, self.pipeline.clocks, call)
        self.taken.append(time.perf_counter() - start)
        self.counted.append(self.taken[-1])
        if not call.state:
            self.known[kind] = [*times, self.taken[-1]], output
        return output


def shape_of(call: Call) -> tuple[Any, ...]:
    """What the cost of a call without a cache depends on."""
    return (call.net, *(tuple(a.shape) if isinstance(a, Tensor) else a for a in call.args))


def show(name: str, rows: dict[str, dict[str, Any]]) -> None:
    """Print one line."""
    seconds = " ".join(f"{row['seconds']:9.2f}" for row in rows.values())
    first = next(iter(rows.values()))
    said = (
        "all calls run"
        if first["run"] == first["calls"]
        else (f"{first['run']} of {first['calls']} calls run, the rest counted at their median")
    )
    print(f"{name:16} {seconds}  {first['weights'] / 1e6:,.0f} M weights; {said}", flush=True)


if __name__ == "__main__":
    main()
