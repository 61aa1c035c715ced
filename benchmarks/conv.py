"""Time a convolution and a whole U-Net step in every precision: python benchmarks/conv.py [--json].

All candidates of a table take turns in one process, so that a busy machine slows them alike; the
ratios are of medians. Quantizing the activations is part of every time. Inputs and outputs are
float32, for bf16 bfloat16 in channels-last order, which it is fastest in.
"""

import argparse
import copy
import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from bitscape.calibration import record
from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES, UNetConfig
from bitscape.nn import QuantConv2d
from bitscape.passes import Context, Nearest, QuantizeActivations, QuantizeWeights, run
from bitscape.quantizers import minmax, quantize_weight, weight_grid
from bitscape.runtime import KERNELS, compare, describe_machine, pack_network
from bitscape.structure import Kind, Role, Site, StepClock, constant_step

SCHEME = "W8A8,static"


def main() -> None:
    """Print the tables, or the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, default=320)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--unet", type=int, nargs="+", default=[128, 256], help="its channels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each candidate")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    side = f"{options.side} x {options.side}, batch {options.batch}"
    tables = {
        f"3x3 convolution {options.channels} -> {options.channels}, {side}": layer(options),
        f"U-Net step, channels {options.unet}, {side}": unet(options),
    }
    if options.json:
        print(json.dumps({"machine": describe_machine(), "tables": tables}, indent=2))
        return
    print(", ".join(f"{key} {value}" for key, value in describe_machine().items()))
    for title, rows in tables.items():
        print(f"\n{title}")
        for name, row in rows.items():
            ratios = "  ".join(f"x{row[f'over {base}']:5.2f} {base}" for base in ("fp32", "bf16"))
            spread = f"({row['p10']:.2f} to {row['p90']:.2f})"
            print(f"  {name:12} {row['median']:9.2f} ms {spread:20} {ratios}  {row['kernels']}")


def layer(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Latencies of one convolution."""
    width = options.channels
    x = torch.randn(options.batch, width, options.side, options.side)
    conv = nn.Conv2d(width, width, 3, padding=1).requires_grad_(False)
    site = Site("conv", Role.CONV, Kind.CONV)
    coded = QuantConv2d.of(copy.deepcopy(conv), site, StepClock())
    scheme = parse_scheme(SCHEME).default
    assert scheme.weight is not None and scheme.activation is not None
    W = coded.effective_weight().flatten(1)
    grid = weight_grid(W, scheme.weight, minmax)
    coded.set_codes(quantize_weight(W, grid, scheme.weight), grid, scheme.weight)
    reach = (x.max() - x.min()).view(1, 1)
    table = reach / 255, (-x.min() * 255 / reach).round()
    coded.quantize_activation(scheme.activation).set_table(*table)
    name = "onednn-conv-static"
    quantized = partial(KERNELS[name].build(coded), x)
    return timed({**floats(conv, (x,)), SCHEME: quantized}, {SCHEME: name}, options.seconds)


def unet(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Latencies of one call of a U-Net."""
    levels = tuple(options.unet)
    config = UNetConfig(
        sample_size=options.side,
        channels=4,
        block_out_channels=levels,
        attention=(False,) * (len(levels) - 1) + (True,),
        condition="class",
        num_classes=10,
        num_heads=4,
    )
    family = FAMILIES["unet"]
    pipeline = family.pipeline("unet", "bench", config, nn.Identity())
    pipeline.network.requires_grad_(False)
    model = copy.deepcopy(pipeline)
    calls = record(pipeline, range(options.batch), seed=0, batch=options.batch, steps=2)
    passes = [QuantizeWeights(Nearest()), QuantizeActivations()]
    run(passes, model, Context(parse_scheme(SCHEME), calls))
    chosen = Counter(choice.kernel for choice in pack_network(model.network))
    x, t, labels = calls.calls[0].args
    clock: StepClock = model.clocks[""]
    clock.set(constant_step(0))
    kernels = ", ".join(f"{count} {name}" for name, count in sorted(chosen.items()))
    candidates = {
        **floats(pipeline.network, (x, t, labels)),
        SCHEME: partial(model.network, x, t, labels),
    }
    return timed(candidates, {SCHEME: kernels}, options.seconds)


def floats(module: nn.Module, args: tuple[torch.Tensor, ...]) -> dict[str, Callable[[], object]]:
    """The module in float32 and in bfloat16."""
    narrow = copy.deepcopy(module).to(torch.bfloat16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    first = args[0].bfloat16().contiguous(memory_format=torch.channels_last)
    return {"fp32": partial(module, *args), "bf16": partial(narrow, first, *args[1:])}


def timed(
    candidates: dict[str, Callable[[], object]], kernels: dict[str, str], seconds: float
) -> dict[str, dict[str, Any]]:
    """Medians in milliseconds, and how much faster than either float each candidate is."""
    with torch.inference_mode():
        latencies = compare(candidates, seconds=seconds)
    return {
        name: {
            "median": latency.median,
            "p10": latency.p10,
            "p90": latency.p90,
            **{
                f"over {base}": latencies[base].median / latency.median for base in ("fp32", "bf16")
            },
            "kernels": kernels.get(name, ""),
        }
        for name, latency in latencies.items()
    }


if __name__ == "__main__":
    main()
