"""Bits for each layer of one model under a budget."""

from dataclasses import dataclass
from typing import Any, Literal

from bitscape.api.model import Model
from bitscape.api.quantize import Progress, quantize
from bitscape.passes import weight_sites
from bitscape.recipes import Recipe
from bitscape.structure import Pipeline

_FLOAT_BYTES = 2


@dataclass(frozen=True)
class LayerPlan:
    """The widths of the weights of each site, and what they cost.

    `option` is the budget as the method `mixed` takes it. `uniform_bits` is the widest width that
    fits everywhere; `errors` are those of both at the output, measured on calls that did not choose
    (KL of the tokens or squared relative error), and `chosen` says which of the two `bits` is.
    `memory_bytes` counts the whole network, what is not quantized in 16 bits.
    """

    bits: dict[str, int]
    option: str
    chosen: Literal["mixed", "uniform"]
    uniform_bits: int
    errors: dict[str, float]
    memory_bytes: float
    compute_bits: float


def plan_layers(
    model: Model,
    recipe: Recipe,
    *,
    memory: float | None = None,
    compute_bits: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> LayerPlan:
    """The best widths within `memory` bytes of the whole network, or `compute_bits` in 1e9.

    ValueError unless the recipe is one of `mixed` and exactly one budget is given, and for a budget
    that the narrowest widths exceed.
    """
    if recipe.method != "mixed":
        raise ValueError(f"{recipe.name} is by {recipe.method}: bits for each layer need mixed")
    if (memory is None) == (compute_bits is None):
        raise ValueError("give one of a memory and compute bits")
    # Only now: this reads the weights of a released model.
    pipeline = model.pipeline
    weights = _weights(pipeline, recipe)
    total = sum(weights.values())
    rest = _FLOAT_BYTES * (sum(p.numel() for p in pipeline.network.parameters()) - total)
    name, value = _budget(memory, compute_bits, rest, total)
    kept = {k: v for k, v in recipe.options.items() if k not in _BUDGETS}
    wanted = recipe.model_copy(update={"options": {**kept, name: value}})
    made = quantize(model, wanted, seed=seed, progress=progress)
    found: dict[str, Any] = made.report["method"]["allocation"]
    activation = {
        site.name: wanted.quant_scheme().at(site.role.value, site.name).activation_bits
        for site, _ in weight_sites(pipeline, wanted.quant_scheme())
    }
    return LayerPlan(
        bits=found["bits"],
        option=f"{name}={value:.10g}",
        chosen=found["chosen"],
        uniform_bits=found["uniform_bits"],
        errors=found["errors"],
        memory_bytes=rest + sum(layer["bytes"] for layer in made.report["layers"]),
        compute_bits=sum(
            bits * activation[site] * weights[site] for site, bits in found["bits"].items()
        )
        / 1e9,
    )


_BUDGETS = frozenset({"effective_bits", "bytes", "compute_bits"})


def _budget(
    memory: float | None, compute_bits: float | None, rest: int, total: int
) -> tuple[str, float]:
    """The option of `mixed` for a budget: the bytes besides the `rest`, or bits a weight."""
    if memory is None:
        assert compute_bits is not None
        return "compute_bits", 1e9 * compute_bits / total
    if memory <= rest:
        raise ValueError(f"{memory:,.0f} bytes are too few: what stays at 16 bits takes {rest:,}")
    return "bytes", float(memory - rest)


def _weights(pipeline: Pipeline, recipe: Recipe) -> dict[str, int]:
    """The number of weights of each site that the recipe quantizes."""
    return {
        site.name: pipeline.network.get_submodule(site.name).get_parameter("weight").numel()
        for site, _ in weight_sites(pipeline, recipe.quant_scheme())
    }
