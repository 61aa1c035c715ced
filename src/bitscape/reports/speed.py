"""How long one transformer block of realistic size takes in each arithmetic.

The bundled models are too small for 8-bit kernels to pay, so the page times one block as wide as
VAR-d16's. Its weights are random: the time of a matrix product does not depend on its values.
"""

import platform
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from bitscape.formats import QuantScheme, parse_scheme
from bitscape.models import VARConfig
from bitscape.models.layers import block_sites
from bitscape.models.var import VARBlock
from bitscape.nn import QuantLinear, insert, quantized_sites
from bitscape.quantizers import bounds_grid, minmax, quantize_weight, weight_grid
from bitscape.reports.results import Speed, Timing
from bitscape.runtime import Choice, Latency, compare, pack_network, resident_bytes
from bitscape.structure import StepClock

D16 = VARConfig(embed_dim=1024, depth=16, num_heads=16)
BLOCK = "block"
SAMPLES = 2
"""One image, with its class and without, as guidance needs."""

Inputs = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Arithmetic:
    """A name for the page, the dtype that flows through the block, and a scheme for its sites."""

    name: str
    dtype: torch.dtype
    scheme: str | None = None


ARITHMETICS = (
    Arithmetic("fp32", torch.float32),
    Arithmetic("bf16", torch.bfloat16),
    Arithmetic("W8A8, static ranges", torch.bfloat16, "W8A8,static"),
    Arithmetic("W8A8", torch.bfloat16, "W8A8"),
    Arithmetic("W4A8", torch.bfloat16, "W4A8"),
    Arithmetic("W4A16", torch.bfloat16, "W4A16@g128"),
)


def measure_speed(seconds: float, config: VARConfig = D16) -> Speed:
    """Timings of one block in every arithmetic, about `seconds` in all, taken in turns."""
    inputs = {a.dtype: random_inputs(config, a.dtype) for a in ARITHMETICS}
    ready = {a.name: prepare(config, a, inputs[a.dtype]) for a in ARITHMETICS}
    calls = {a.name: partial(run, ready[a.name][0], inputs[a.dtype]) for a in ARITHMETICS}
    latencies = compare(calls, seconds=seconds / len(calls))
    timings = tuple(
        timing(name, block, choices, latencies[name]) for name, (block, choices) in ready.items()
    )
    threads = torch.get_num_threads()
    machine = f"{processor()}, {threads} thread{'s' if threads > 1 else ''}"
    return Speed("One transformer block of VAR-d16", rows(config), machine, timings)


def rows(config: VARConfig) -> int:
    """Tokens in one call: those of the finest scale, for every sample."""
    return SAMPLES * config.patch_nums[-1] ** 2


def random_inputs(config: VARConfig, dtype: torch.dtype) -> Inputs:
    """Tokens and condition of one call."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(SAMPLES, rows(config) // SAMPLES, config.embed_dim, generator=generator)
    condition = torch.randn(SAMPLES, config.embed_dim, generator=generator)
    return x.to(dtype), condition.to(dtype)


def prepare(
    config: VARConfig, arithmetic: Arithmetic, inputs: Inputs
) -> tuple[nn.Module, list[Choice]]:
    """A block in the given arithmetic, packed, and the kernels its sites got."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.ModuleDict({BLOCK: VARBlock(config)}).requires_grad_(False).eval()
    network.to(arithmetic.dtype)
    choices: list[Choice] = []
    if arithmetic.scheme is not None:
        insert(network, block_sites(BLOCK), {"": StepClock()})
        quantize_block(network, parse_scheme(arithmetic.scheme), inputs)
        choices = pack_network(network, rows=rows(config))
    return network[BLOCK], choices


def quantize_block(network: nn.ModuleDict, scheme: QuantScheme, inputs: Inputs) -> None:
    """Round every site of the block to nearest, in place; static ranges are those of `inputs`."""
    layers = [site for site in quantized_sites(network).values() if isinstance(site, QuantLinear)]
    ranges = observed(network[BLOCK], layers, inputs)
    for layer in layers:
        site = scheme.at(layer.site.role)
        assert site.weight is not None and layer.weight is not None
        grid = weight_grid(layer.weight, site.weight, minmax)
        layer.set_codes(quantize_weight(layer.weight, grid, site.weight), grid, site.weight)
        if site.activation is None:
            continue
        quantizer = layer.quantize_activation(site.activation)
        if not site.activation.dynamic:
            low, high = ranges[layer.site.name]
            static = bounds_grid(
                low.float(), high.float(), site.activation.format, site.activation.symmetric
            )
            quantizer.set_table(static.scale, static.zero)


def observed(
    block: nn.Module, layers: list[QuantLinear], inputs: Inputs
) -> dict[str, tuple[Tensor, Tensor]]:
    """The least and the greatest input of each layer in one run, shape (1, 1) each."""
    found = {}

    def watch(layer: nn.Module, args: tuple[Tensor]) -> None:
        assert isinstance(layer, QuantLinear)
        low, high = args[0].aminmax()
        found[layer.site.name] = (low.view(1, 1), high.view(1, 1))

    hooks = [layer.register_forward_pre_hook(watch) for layer in layers]
    try:
        run(block, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found


@torch.no_grad()
def run(block: nn.Module, inputs: Inputs) -> Tensor:
    """One forward pass."""
    result: Tensor = block(*inputs)
    return result


def timing(name: str, block: nn.Module, choices: list[Choice], latency: Latency) -> Timing:
    """One line of the speed panel; its kernel is the one that runs most of the block's weights."""
    kernels = [choice.kernel for choice in choices]
    kernel = max(kernels, key=kernels.count) if kernels else "torch"
    return Timing(
        name=name,
        kernel=kernel,
        real=all(choice.real for choice in choices),
        median_ms=latency.median,
        p10_ms=latency.p10,
        p90_ms=latency.p90,
        weight_bytes=resident_bytes(block),
    )


def processor() -> str:
    """The name of this machine's processor, where the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
