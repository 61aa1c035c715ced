"""Weights to codes: each on its own, or block by block behind the quantized blocks before."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from bitscape.calibration import Hessian, PairedInputs, Unit, Whole, hessian_of, stream
from bitscape.formats import Granularity, QuantScheme, TensorScheme, tensor_cost
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes.base import Context, Field
from bitscape.passes.finished import read_finished, write_finished
from bitscape.passes.match_outputs import Matching, paired_inputs_of, round_matched
from bitscape.passes.quantize_activations import QuantizeActivations
from bitscape.passes.rounders import Rounded, Rounder
from bitscape.passes.site_weight import layer_of, set_codes
from bitscape.structure import Block, Call, Kind, Pipeline, Site


@dataclass(frozen=True)
class QuantizeWeights:
    """Round the weight of every site whose scheme has a format for it and that has no codes yet.

    A rounder that reads inputs gets the Hessian of each site's prologued input, with every block
    before already quantized. Inside a block, "block" takes all Hessians from the float block and
    "site" renews them after each site.

    With `matched`, which says how static ranges are found, a weight is first moved to where its
    outputs, on inputs that come out of rounded layers, are nearest to those of full precision, and
    so is its bias: `algorithms.matching`. Activation quantizers are then put in on the way.
    """

    before: ClassVar[frozenset[Field]] = frozenset({"codes", "activation"})
    writes: ClassVar[frozenset[Field]] = frozenset({"codes"})

    rounder: Rounder
    sequential: Literal["block", "site"] = "block"
    matched: QuantizeActivations | None = None

    def __post_init__(self) -> None:
        if self.matched is not None and not self.rounder.reads_inputs:
            raise ValueError("only a rounder that reads inputs can match outputs: choose another")

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        """Whether the rounder reads inputs and there is something to round."""
        return self.rounder.reads_inputs and bool(scheme.weights)

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
        if self.matched is not None:
            work = replace(work, matching=Matching.of(pipeline, context, self.matched))
        for stretch in stretches(pipeline, list(work.schemes), calls, work.teacher):
            work.finish(stretch)


@dataclass(frozen=True)
class Stretch:
    """Sites that are rounded together, in execution order, and where their inputs are seen."""

    name: str
    sites: list[str]
    place: Unit | Whole


def stretches(
    pipeline: Pipeline, names: Sequence[str], calls: Sequence[Call], teacher: nn.Module | None
) -> Iterator[Stretch]:
    """The sites `names` before the blocks, those of each block in turn, and those after."""
    network, clocks = pipeline.network, pipeline.clocks
    blocks = pipeline.adapter.blocks(network)
    inside = {block.name: sites_inside(block, names) for block in blocks}
    before, after = _outside(names, inside)
    whole = Whole(network, clocks, calls, teacher)
    yield Stretch("before", before, whole)
    within = blocks if any(inside.values()) else []
    for unit in stream(network, clocks, within, calls, teacher):
        yield Stretch(unit.block.name, inside[unit.block.name], unit)
    yield Stretch("after", after, whole)


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

    A scale for each row becomes one for each split, so that a half with larger inputs can have a
    finer grid. Two scales of a row in float16 are written in as many bits as one in float32.
    """
    if not site.splits or scheme.granularity.kind != "channel":
        return scheme
    assert isinstance(layer, nn.Conv2d | QuantConv2d)
    kernel = layer.weight_shape[2:] if isinstance(layer, QuantConv2d) else layer.kernel_size
    widths = tuple(width * math.prod(kernel) for width in site.splits)
    alike = len(set(widths)) == 1
    reach = Granularity("group", widths[0]) if alike else Granularity("split", widths=widths)
    return replace(scheme, granularity=reach)


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
        check_groups(site.name, weight, weight_scheme)


def check_groups(name: str, weight: Tensor, scheme: TensorScheme) -> None:
    """ValueError that names the site for groups of `scheme` that do not divide its weight.

    Shapes are enough: the weight may be on the meta device.
    """
    try:
        tensor_cost((len(weight), weight[0].numel()), scheme)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


@dataclass(frozen=True)
class _Work:
    """The rounding of one network: what is done, what is kept on disk, what is reported."""

    step: QuantizeWeights
    network: nn.Module
    context: Context
    schemes: dict[str, TensorScheme]
    matching: Matching | None = None

    @property
    def teacher(self) -> nn.Module | None:
        """The network in full precision, where outputs are matched to it."""
        return None if self.matching is None else self.matching.teacher

    def finish(self, stretch: Stretch) -> None:
        """Round the sites of `stretch`, or take from the workspace what was done before."""
        names, folder = stretch.sites, self.context.workspace
        path = None if folder is None else folder / "weights" / f"{stretch.name}.safetensors"
        device = next(self.network.parameters()).device
        done = {} if path is None else read_finished(path, device)
        finished = done.keys() == set(names)
        for group in [names] if self.step.sequential == "block" else [[name] for name in names]:
            if self.matching is not None:
                self.matching.inputs.quantize(stretch.place, group)
            kept = {} if finished else self.observe(stretch.place, group)
            for name in group:
                if not finished:
                    done[name] = self.round(name, kept.pop(name))
                self.set(name, done[name])
        if path is not None and not finished:
            write_finished(path, done)

    def observe(
        self, place: Unit | Whole, names: Sequence[str]
    ) -> dict[str, Hessian] | dict[str, PairedInputs]:
        """What is seen of the inputs of the sites `names`."""
        if self.matching is not None:
            pairs = {name: paired_inputs_of(self.layer(name)) for name in names}
            place.observe_both(pairs)
            return pairs
        kept = {name: hessian_of(self.network, name) for name in names}
        place.observe(kept)
        return kept

    def round(self, name: str, seen: Hessian | PairedInputs | None) -> Rounded:
        """The codes of one site; ValueErrors name it."""
        layer, scheme = self.layer(name), self.schemes[name]
        W = layer.effective_weight().detach().flatten(1).float()
        if seen is not None and not seen.rows:
            # A Hessian of nothing would make every column dead, and the weights zero.
            raise ValueError(f"{name} is never reached by the calibration calls: record others")
        try:
            if isinstance(seen, PairedInputs):
                return round_matched(W, layer.bias, self.step.rounder, scheme, seen)
            H = None if seen is None else seen.matrix()
            return self.step.rounder(W, scheme, H)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    def set(self, name: str, rounded: Rounded) -> None:
        """Give the layer its codes and the report its entry."""
        layer = self.layer(name)
        W = layer.effective_weight().detach().flatten(1).float()
        set_codes(layer, W, rounded, self.schemes[name], self.context)
        done = sum("weight_error" in e for e in self.context.report["sites"].values())
        self.context.progress("quantizing weights", done, len(self.schemes))

    def layer(self, name: str) -> QuantLinear | QuantConv2d:
        """The layer of a site."""
        layer = layer_of(self.network, name)
        if isinstance(layer, QuantConv2d) and layer.groups != 1 and self.step.rounder.reads_inputs:
            raise ValueError(f"{name} is a grouped convolution, which has no one Hessian: use rtn")
        return layer


def _coded(pipeline: Pipeline, site: Site) -> bool:
    layer = pipeline.network.get_submodule(site.name)
    return isinstance(layer, QuantLinear | QuantConv2d) and layer.coded is not None


def sites_inside(block: Block, names: Iterable[str]) -> list[str]:
    """Those of `names` that lie in `block`."""
    return [name for name in names if name == block.name or name.startswith(f"{block.name}.")]


def _outside(names: Sequence[str], inside: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """The sites of no block that run before the first block, and the others."""
    within = {name for names in inside.values() for name in names}
    first = next((i for i, name in enumerate(names) if name in within), 0)
    after = [name for name in names[first:] if name not in within]
    return list(names[:first]), after
