"""Weights to codes: each on its own, or block by block behind the quantized blocks before."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from bitscape.calibration import Hessian, Unit, hessian_of, hessians, stream
from bitscape.formats import Granularity, MixedInt, QuantScheme, TensorScheme, tensor_cost
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes.base import Context, Field
from bitscape.passes.finished import read_finished, write_finished
from bitscape.passes.rounders import Rounded, Rounder
from bitscape.structure import Block, Kind, Pipeline, Site

Observe = Callable[[Sequence[str]], dict[str, Hessian]]


@dataclass(frozen=True)
class QuantizeWeights:
    """Round the weight of every site whose scheme has a format for it and that has no codes yet.

    A rounder that reads inputs gets the Hessian of each site's prologued input, with every block
    before already quantized. Inside a block, "block" takes all Hessians from the float block and
    "site" renews them after each site.
    """

    before: ClassVar[frozenset[Field]] = frozenset({"codes", "activation"})
    writes: ClassVar[frozenset[Field]] = frozenset({"codes"})

    rounder: Rounder
    sequential: Literal["block", "site"] = "block"

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        """Whether the rounder reads inputs and there is something to round."""
        sites = [scheme.default, *(site for _, site in scheme.roles)]
        return self.rounder.reads_inputs and any(site.weight is not None for site in sites)

    @torch.no_grad()
    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        """Replace float weights by codes."""
        check_weights(pipeline, context.scheme)
        sites = [
            (site, scheme)
            for site, scheme in weight_sites(pipeline, context.scheme)
            if not _coded(pipeline, site)
        ]
        work = _Work(self, pipeline.network, context, {s.name: scheme for s, scheme in sites})
        if not self.rounder.reads_inputs:
            for name in work.schemes:
                work.set(name, work.round(name, None))
            return
        calls = context.calibrated(type(self.rounder).__name__).calls
        blocks = pipeline.adapter.blocks(pipeline.network)
        inside = {block.name: sites_inside(block, work.schemes) for block in blocks}
        before, after = _outside([site for site, _ in sites], inside)
        declared = {site.name: site for site, _ in sites}

        def sweep(names: Sequence[str]) -> dict[str, Hessian]:
            return hessians(pipeline, calls, [declared[name] for name in names])

        work.finish("before", before, sweep)
        within = blocks if any(inside.values()) else []
        for unit in stream(pipeline.network, pipeline.clocks, within, calls):
            work.finish(unit.block.name, inside[unit.block.name], work.observing(unit))
        work.finish("after", after, sweep)


def weight_sites(pipeline: Pipeline, scheme: QuantScheme) -> list[tuple[Site, TensorScheme]]:
    """The sites whose weights `scheme` quantizes, in execution order."""
    found = []
    for site in pipeline.adapter.sites(pipeline.network):
        weight = scheme.at(site.role.value, site.name).weight
        if weight is not None and site.kind is not Kind.ATTEND:
            layer = pipeline.network.get_submodule(site.name)
            found.append((site, within_splits(weight, site, layer)))
    return found


def within_splits(scheme: TensorScheme, site: Site, layer: nn.Module) -> TensorScheme:
    """`scheme` for the weight of `layer`, whose scales must not cross a split of its input.

    A scale for each row becomes one for each group of columns as wide as the splits allow, their
    greatest common divisor; the inputs of each split can then have a range of their own. Rows of
    mixed width keep one scale: so many more would cost up to half a bit a weight at these widths.
    """
    if isinstance(scheme.format, MixedInt):
        return scheme
    if not site.splits or scheme.granularity.kind != "channel":
        return scheme
    assert isinstance(layer, nn.Conv2d | QuantConv2d)
    kernel = layer.weight_shape[2:] if isinstance(layer, QuantConv2d) else layer.kernel_size
    return replace(
        scheme, granularity=Granularity("group", math.gcd(*site.splits) * math.prod(kernel))
    )


def check_weights(pipeline: Pipeline, scheme: QuantScheme) -> None:
    """ValueError that names the site for a weight with NaN, or groups that do not divide it.

    Cheap, so that it can come before anything that takes long.
    """
    for site, weight_scheme in weight_sites(pipeline, scheme):
        if _coded(pipeline, site):
            continue
        weight = pipeline.network.get_submodule(site.name).weight
        assert isinstance(weight, Tensor)
        if not all(extreme.isfinite() for extreme in weight.aminmax()):
            raise ValueError(
                f"{site.name} has NaN or infinity in its weight: repair the checkpoint"
            )
        try:
            tensor_cost((len(weight), weight[0].numel()), weight_scheme)
        except ValueError as error:
            raise ValueError(f"{site.name}: {error}") from error


@dataclass(frozen=True)
class _Work:
    """The rounding of one network: what is done, what is kept on disk, what is reported."""

    step: QuantizeWeights
    network: nn.Module
    context: Context
    schemes: dict[str, TensorScheme]

    def observing(self, unit: Unit) -> Observe:
        """The Hessians of sites of a block, from the block's inputs."""

        def observe(names: Sequence[str]) -> dict[str, Hessian]:
            kept = {name: hessian_of(self.network, name) for name in names}
            unit.observe(kept)
            return kept

        return observe

    def finish(self, unit: str, names: Sequence[str], observe: Observe) -> None:
        """Round the sites `names`, or take them from the workspace if that was done before."""
        folder = self.context.workspace
        path = None if folder is None else folder / "weights" / f"{unit}.safetensors"
        done = {} if path is None else read_finished(path)
        if done.keys() == set(names):
            for name in names:
                self.set(name, done[name])
            return
        done = {}
        for group in [names] if self.step.sequential == "block" else [[name] for name in names]:
            kept = observe(group)
            for name in group:
                done[name] = self.round(name, kept.pop(name))
                self.set(name, done[name])
        if path is not None:
            write_finished(path, done)

    def round(self, name: str, hessian: Hessian | None) -> Rounded:
        """The codes of one site; ValueErrors name it."""
        W = self.layer(name).effective_weight().detach().flatten(1).float()
        if hessian is not None and not hessian.rows:
            # A Hessian of nothing would make every column dead, and the weights zero.
            raise ValueError(f"{name} is never reached by the calibration calls: record others")
        H = None if hessian is None else hessian.matrix()
        try:
            return self.step.rounder(W, self.schemes[name], H)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    def set(self, name: str, rounded: Rounded) -> None:
        """Give the layer its codes and the report its entry."""
        layer = self.layer(name)
        W = layer.effective_weight().detach().flatten(1).float()
        self.context.keep(name, W)
        layer.set_codes(rounded.codes, rounded.grid, self.schemes[name])
        W_hat = layer.effective_weight().flatten(1)
        error = float((W - W_hat).square().sum() / W.square().sum().clamp(min=1e-38))
        entry = {"scheme": str(self.schemes[name]), "weight_error": error, **rounded.report}
        self.context.site_report(name).update(entry)
        done = sum("weight_error" in e for e in self.context.report["sites"].values())
        self.context.progress("quantizing weights", done, len(self.schemes))

    def layer(self, name: str) -> QuantLinear | QuantConv2d:
        """The layer of a site."""
        layer = layer_of(self.network, name)
        if isinstance(layer, QuantConv2d) and layer.groups != 1 and self.step.rounder.reads_inputs:
            raise ValueError(f"{name} is a grouped convolution, which has no one Hessian: use rtn")
        return layer


def layer_of(network: nn.Module, name: str) -> QuantLinear | QuantConv2d:
    """The layer of a site that has a weight."""
    layer = network.get_submodule(name)
    assert isinstance(layer, QuantLinear | QuantConv2d)
    return layer


def _coded(pipeline: Pipeline, site: Site) -> bool:
    layer = pipeline.network.get_submodule(site.name)
    return isinstance(layer, QuantLinear | QuantConv2d) and layer.coded is not None


def sites_inside(block: Block, names: Iterable[str]) -> list[str]:
    """Those of `names` that lie in `block`."""
    return [name for name in names if name == block.name or name.startswith(f"{block.name}.")]


def _outside(sites: Sequence[Site], inside: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """The sites of no block that run before the first block, and the others."""
    within = {name for names in inside.values() for name in names}
    names = [site.name for site in sites]
    first = next((i for i, name in enumerate(names) if name in within), 0)
    return names[:first], [name for name in names[first:] if name not in within]
