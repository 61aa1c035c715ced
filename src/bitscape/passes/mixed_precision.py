"""Mixed precision: the bits of each site under a budget, by what rounding it does to the output."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from bitscape.algorithms.allocation import allocate
from bitscape.algorithms.sensitivity import (
    add_by_step,
    divergence,
    relative_square,
    step_means,
)
from bitscape.calibration import hessians
from bitscape.formats import (
    Int,
    QuantScheme,
    SiteScheme,
    TensorScheme,
    tensor_cost,
)
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes.base import Context, Field, Pass, run, with_sites
from bitscape.passes.quantize_weights import weight_sites
from bitscape.passes.rounders import Greedy, Rounder
from bitscape.quantizers import dequantize_weight
from bitscape.structure import Call, Pipeline, Site, invoke

Measure = Literal["effective_bits", "bytes", "compute_bits"]


@dataclass(frozen=True)
class MixedPrecision:
    """Choose integer widths for each site within a budget, then run `inner` at them.

    `budget` None is what the scheme itself costs. Each site is rounded alone to each of `bits`, and
    the network's outputs compared on a part of the calibration calls; the sum of these losses is
    minimised exactly. On the other calls the result then meets the widest uniform width within the
    budget, and the better of the two is made.

    `measure`: "effective_bits" (stored bits a weight), "bytes" (stored), "compute_bits" (mean
    product of weight and activation widths).
    """

    before: ClassVar[frozenset[Field]] = frozenset({"codes", "activation"})
    writes: ClassVar[frozenset[Field]] = frozenset({"codes", "activation"})

    inner: tuple[Pass, ...]
    budget: float | None = None
    measure: Measure = "effective_bits"
    bits: tuple[int, ...] = (2, 3, 4, 5, 6, 8)
    rounder: Rounder = Greedy()
    calls: int = 8

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        """Always: losses are measured."""
        del scheme
        return True

    @torch.no_grad()
    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        """Choose, report, and quantize."""
        calls = context.calibrated("mixed precision").calls
        sites = dict(weight_sites(pipeline, context.scheme))
        costs = self.costs(pipeline, context.scheme, sites)
        budget = self.budget
        if budget is None:
            budget = sum(costs[site.name][own.format.bits] for site, own in sites.items())
        probes, judges = calls[::2][: self.calls], (calls[1::2] or calls)[: self.calls]
        found = self.sensitivity(pipeline, context, sites, probes)
        names = [site.name for site in sites]
        losses = [[sum(found[name][b]) / len(found[name][b]) for b in self.bits] for name in names]
        table = [[costs[name][b] for b in self.bits] for name in names]
        picked = [self.bits[i] for i in allocate(losses, table, budget)]
        mixed = dict(zip(names, picked, strict=True))
        uniform = dict.fromkeys(names, self.widest(costs, budget))
        choices = {"mixed": mixed, "uniform": uniform}
        schemes = {k: self.scheme(context.scheme, sites, v) for k, v in choices.items()}
        errors = {k: self.error(pipeline, context, s, judges) for k, s in schemes.items()}
        best = "mixed" if errors["mixed"] < errors["uniform"] else "uniform"
        context.report["allocation"] = {
            "measure": self.measure,
            "budget": budget,
            "spent": sum(costs[name][b] for name, b in choices[best].items()),
            "chosen": best,
            "errors": errors,
            "bits": choices[best],
            "uniform_bits": next(iter(uniform.values())),
            "step_errors": {name: found[name][b] for name, b in choices[best].items()},
        }
        run(self.inner, pipeline, replace(context, scheme=schemes[best]))

    def costs(
        self, pipeline: Pipeline, scheme: QuantScheme, sites: Mapping[Site, TensorScheme]
    ) -> dict[str, dict[float, float]]:
        """The cost of each site at each width; shares add up to the measure of the network."""
        shapes = {site.name: _shape(pipeline, site) for site in sites}
        weights = sum(rows * columns for rows, columns in shapes.values())
        result: dict[str, dict[float, float]] = {}
        for site, weight in sites.items():
            shape, read = shapes[site.name], scheme.at(site.role.value, site.name)
            result[site.name] = {}
            for b in sorted({*self.bits, *([weight.format.bits] if self.budget is None else [])}):
                stored = tensor_cost(shape, narrowed(weight, int(b))).total_bits
                result[site.name][b] = {
                    "effective_bits": stored / weights,
                    "bytes": stored / 8,
                    "compute_bits": b * read.activation_bits * shape[0] * shape[1] / weights,
                }[self.measure]
        return result

    def widest(self, costs: Mapping[str, Mapping[float, float]], budget: float) -> int:
        """The widest uniform width within the budget; ValueError when none is."""
        for b in sorted(self.bits, reverse=True):
            if sum(row[b] for row in costs.values()) <= budget * (1 + 1e-12):
                return b
        raise ValueError(
            f"a budget of {budget:g} {self.measure} is below {min(self.bits)} bits everywhere: "
            "raise it, or allow fewer bits"
        )

    def sensitivity(
        self,
        pipeline: Pipeline,
        context: Context,
        sites: Mapping[Site, TensorScheme],
        probes: Sequence[Call],
    ) -> dict[str, dict[int, list[float]]]:
        """The error of the outputs, by step, with one site rounded to each width."""
        reference = outputs(pipeline, probes)
        kept = hessians(pipeline, probes, list(sites)) if self.rounder.reads_inputs else {}
        found: dict[str, dict[int, list[float]]] = {}
        for done, (site, scheme) in enumerate(sites.items(), start=1):
            layer = pipeline.network.get_submodule(site.name)
            assert isinstance(layer, QuantLinear | QuantConv2d) and layer.weight is not None
            full = layer.weight.detach().clone()
            H = kept.pop(site.name).matrix() if kept else None
            found[site.name] = {}
            for b in self.bits:
                narrow = narrowed(scheme, b)
                rounded = self.rounder(full.flatten(1).float(), narrow, H)
                W_hat = dequantize_weight(rounded.codes, rounded.grid, narrow)
                layer.weight.copy_(W_hat.view_as(full))
                found[site.name][b] = step_errors(pipeline, probes, reference)
            layer.weight.copy_(full)
            context.progress("measuring sensitivity", done, len(sites))
        return found

    def scheme(
        self, base: QuantScheme, sites: Mapping[Site, TensorScheme], bits: Mapping[str, int]
    ) -> QuantScheme:
        """`base` with a width of its own for each site."""
        own = {}
        for site, weight in sites.items():
            read = base.at(site.role.value, site.name).activation
            own[site.name] = SiteScheme(narrowed(weight, bits[site.name]), read)
        return with_sites(base, own)

    def error(
        self, pipeline: Pipeline, context: Context, scheme: QuantScheme, judges: Sequence[Call]
    ) -> float:
        """The mean error of the outputs once `inner` has run at `scheme`, on a copy."""
        reference = outputs(pipeline, judges)
        twin = copy.deepcopy(pipeline)
        run(self.inner, twin, replace(context, scheme=scheme, report={}, workspace=None))
        means = step_errors(twin, judges, reference)
        return sum(means) / len(means)


def narrowed(scheme: TensorScheme, bits: int) -> TensorScheme:
    """`scheme` with integers of another width; ValueError for what are no integers."""
    if not isinstance(scheme.format, Int):
        raise ValueError(f"widths can be mixed for integers only, not for {scheme}")
    return replace(scheme, format=Int(bits, signed=scheme.format.signed))


@torch.no_grad()
def outputs(pipeline: Pipeline, calls: Sequence[Call]) -> list[Tensor]:
    """What the network answers to each call, on its own device."""
    network, clocks, device = pipeline.network, pipeline.clocks, pipeline.device
    try:
        return [invoke(network, clocks, call.to(device)) for call in calls]
    finally:
        for clock in pipeline.clocks.values():
            clock.unset()


def step_errors(
    pipeline: Pipeline, calls: Sequence[Call], reference: Sequence[Tensor]
) -> list[float]:
    """The mean error of the outputs at each step that was seen, one sub-network after another."""
    steps = pipeline.adapter.steps
    totals = {net: torch.zeros(count, 2, dtype=torch.float64) for net, count in steps.items()}
    distance = divergence if pipeline.adapter.discrete else relative_square
    for call, before, now in zip(calls, reference, outputs(pipeline, calls), strict=True):
        add_by_step(distance(before, now).cpu(), call.step.cpu(), totals[call.net])
    return [mean for total in totals.values() for mean in step_means(total)]


def _shape(pipeline: Pipeline, site: Site) -> tuple[int, int]:
    weight: Any = pipeline.network.get_submodule(site.name).weight
    return len(weight), weight[0].numel()
