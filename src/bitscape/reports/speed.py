"""How long one transformer block of realistic size takes in each arithmetic.

The bundled models are too small for 8-bit kernels to pay, so the page times one block as wide as
VAR-d16's. Its weights are random: the time of a matrix product does not depend on its values.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from bitscape.models import VARConfig
from bitscape.models.layers import block_sites
from bitscape.models.var_network import VARBlock
from bitscape.reports.results import Speed, Timing
from bitscape.runtime import VARIANTS, BlockLatency, Choice, describe_machine, time_block

D16 = VARConfig(embed_dim=1024, depth=16, num_heads=16)
DEQUANTIZED = "dequant"
SAMPLES = 2
"""One image, with its class and without, as guidance needs."""


def measure_speed(seconds: float, config: VARConfig = D16) -> Speed:
    """Timings of one block in every arithmetic, about `seconds` in all, taken in turns."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        block = VARBlock(config).requires_grad_(False).eval()
    prefix = "block."
    roles = {site.name.removeprefix(prefix): site.role for site in block_sites("block")}
    latencies = time_block(
        block, random_inputs(config), roles=roles, seconds=seconds / len(VARIANTS)
    )
    return Speed("One transformer block of VAR-d16", rows(config), machine(), timings(latencies))


def rows(config: VARConfig) -> int:
    """Tokens in one call: those of the finest scale, for every sample."""
    return SAMPLES * config.patch_nums[-1] ** 2


def random_inputs(config: VARConfig) -> tuple[Tensor, Tensor]:
    """Tokens and condition of one call."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(SAMPLES, rows(config) // SAMPLES, config.embed_dim, generator=generator)
    return x, torch.randn(SAMPLES, config.embed_dim, generator=generator)


def timings(latencies: list[BlockLatency]) -> tuple[Timing, ...]:
    """The lines of the speed panel."""
    return tuple(
        Timing(
            name=found.variant,
            kernel=main_kernel(found.choices),
            real=main_kernel(found.choices) != DEQUANTIZED
            and all(choice.real for choice in found.choices),
            median_ms=found.latency.median,
            p10_ms=found.latency.p10,
            p90_ms=found.latency.p90,
            weight_bytes=found.resident_bytes,
        )
        for found in latencies
    )


def main_kernel(choices: Sequence[Choice]) -> str:
    """The kernel that most sites of the block run on; "torch" for a float block."""
    names = [choice.kernel for choice in choices]
    return max(names, key=names.count) if names else "torch"


def machine() -> str:
    """Processor and threads in words."""
    facts = describe_machine()
    threads = int(facts["threads"])
    return f"{facts['processor']}, {threads} thread{'s' if threads > 1 else ''}"
