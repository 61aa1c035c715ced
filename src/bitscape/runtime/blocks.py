"""Timing one block of any network in float and quantized, its weights rounded to nearest.

Speed does not depend on the values of the weights, so that a block with random ones of the right
shapes stands for a released model's.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from bitscape.formats import parse_scheme
from bitscape.nn import QuantLinear, insert, quantized_sites
from bitscape.quantizers import bounds_grid, minmax, quantize_weight, weight_grid
from bitscape.runtime.bench import Latency, compare
from bitscape.runtime.capabilities import FLOATS, native_dtype
from bitscape.runtime.packing import Choice, pack_network, resident_bytes
from bitscape.structure import Role, Site, StepClock

VARIANTS = ("fp32", "bf16", "W8A8,static", "W8A8", "W4A8", "W4A16")


@dataclass(frozen=True)
class BlockLatency:
    """One variant of a block: its latency, the bytes it holds, and the kernel of each site."""

    variant: str
    latency: Latency
    resident_bytes: int
    choices: tuple[Choice, ...]


def time_block(
    block: nn.Module,
    args: Sequence[Tensor],
    *,
    roles: Mapping[str, Role],
    variants: Iterable[str] = VARIANTS,
    dtype: torch.dtype | None = None,
    seconds: float = 2.0,
) -> list[BlockLatency]:
    """The latency of `block(*args)` in every variant, measured turn by turn; `block` is unchanged.

    `block` is in float32; `roles` names its linear sites. A variant is "fp32", "bf16" or a scheme,
    which runs in `dtype` outside its sites, by default the fastest float type of the machine.
    Static ranges are found on `args`.
    """
    modules, choices, runs = {}, {}, {}
    for variant in variants:
        outside = FLOATS.get(variant, dtype or native_dtype())
        modules[variant], choices[variant] = _variant(block, args, roles, variant)
        modules[variant].to(outside)
        cast = [arg.to(outside) for arg in args]
        runs[variant] = partial(modules[variant], *cast)
    with torch.inference_mode():
        latencies = compare(runs, seconds=seconds)
    return [
        BlockLatency(variant, latencies[variant], resident_bytes(module), choices[variant])
        for variant, module in modules.items()
    ]


def _variant(
    block: nn.Module, args: Sequence[Tensor], roles: Mapping[str, Role], variant: str
) -> tuple[nn.Module, tuple[Choice, ...]]:
    module = copy.deepcopy(block).eval()
    if variant in FLOATS:
        return module, ()
    _round_to_nearest(module, args, roles, variant)
    return module, tuple(pack_network(module))


@torch.no_grad()
def _round_to_nearest(
    block: nn.Module, args: Sequence[Tensor], roles: Mapping[str, Role], text: str
) -> None:
    scheme = parse_scheme(text)
    # The inputs of every site, seen once: static ranges come from them.
    inputs = _inputs(block, args, roles)
    sites = [Site(name, role, tokens=inputs[name].ndim > 2) for name, role in roles.items()]
    insert(block, sites, {"": StepClock()})
    for name, layer in quantized_sites(block).items():
        assert isinstance(layer, QuantLinear)
        wanted = scheme.at(layer.site.role.value)
        if wanted.weight is not None:
            weight = layer.effective_weight()
            grid = weight_grid(weight, wanted.weight, minmax)
            layer.set_codes(quantize_weight(weight, grid, wanted.weight), grid, wanted.weight)
        if wanted.activation is None:
            continue
        quantizer = layer.quantize_activation(wanted.activation)
        if not wanted.activation.dynamic:
            low, high = inputs[name].aminmax()
            grid = bounds_grid(low, high, wanted.activation.format, wanted.activation.symmetric)
            zero = None if grid.zero is None else grid.zero.view(1, 1)
            quantizer.set_table(grid.scale.view(1, 1), zero)


def _inputs(
    block: nn.Module, args: Sequence[Tensor], roles: Mapping[str, Role]
) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}

    def watch(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[name] = inputs[0]

    with ExitStack() as stack:
        for name in roles:
            module = block.get_submodule(name)
            stack.enter_context(module.register_forward_pre_hook(partial(watch, name)))
        block(*args)
    return seen
