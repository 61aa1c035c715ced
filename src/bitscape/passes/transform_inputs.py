"""Changing the basis of inputs fold by fold, chosen by output error behind quantized layers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from bitscape.calibration import Rows, RowSamples, Unit, observe, stream
from bitscape.formats import QuantScheme, SiteScheme
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes.base import Context, Field, chosen
from bitscape.passes.fold_view import FoldView
from bitscape.passes.folding import absorbed, apply_transform, consumers, costs_work
from bitscape.passes.provisional import Provisional
from bitscape.passes.quantize_activations import QuantizeActivations
from bitscape.passes.quantize_weights import sites_inside, within_splits
from bitscape.passes.rounders import range_rule
from bitscape.passes.rules import Rule
from bitscape.passes.site_rows import SiteRows
from bitscape.passes.site_weight import matrix_of
from bitscape.passes.transform import Transform
from bitscape.structure import Absorb, Fold, Pipeline, Role, Site

EVERYWHERE = tuple(str(role.value) for role in Role)
"""All roles."""
BEHIND_NORMS = ("qkv", "fc1", "head")
"""The roles whose inputs come out of a normalisation, where the papers smooth."""


@dataclass(frozen=True)
class TransformInputs:
    """Give each fold of `roles` one change of basis, and its producer what that can take over.

    `accept` "first" takes the first candidate of the first rule as it comes; "best" the one of all
    rules, or none, with the least error of the outputs at the scheme's own bits. What no producer
    absorbs stays in the prologue if `online`, and has to save the share `toll` of the error there;
    else such folds and candidates are left alone. With `sequential` the blocks before are rounded,
    to nearest, while a block is looked at; `activations` says how their static ranges are found.
    `look` is the rule for all ranges while candidates are tried, on `rows` inputs a fold. `seconds`
    bounds the candidates of all folds together, by the operations they take at a nominal speed, so
    that the result is the same on every machine.
    """

    before: ClassVar[frozenset[Field]] = frozenset(
        {"scale", "shift", "rotation", "lowrank", "delta", "codes", "activation"}
    )
    writes: ClassVar[frozenset[Field]] = frozenset({"scale", "shift", "rotation"})

    rules: tuple[Rule, ...]
    activations: QuantizeActivations
    accept: Literal["first", "best"] = "best"
    roles: tuple[str, ...] = EVERYWHERE
    online: bool = False
    sequential: bool = True
    look: str = "quick"
    toll: float = 0.0
    rows: int = 1024
    seconds: float | None = None

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        """Whether there is anything to quantize."""
        return any(each.weight is not None or each.activation is not None for each in scheme.sites)

    @torch.no_grad()
    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        """Edit prologues, weights and producers."""
        calls = context.calibrated("a change of basis").calls
        work = _Work(self, pipeline, context)
        blocks = pipeline.adapter.blocks(pipeline.network)
        try:
            for unit in stream(pipeline.network, pipeline.clocks, blocks, calls):
                work.block(unit)
            left = list(work.todo.values())
            found = observe(pipeline, calls, [work.read_by(fold) for fold in left], work.sample)
            for fold in left:
                work.finish(fold, found[work.read_by(fold).name].rows())
        finally:
            work.provisional.restore()


class _Work:
    """One run of the pass: which folds are left, and which layers are rounded for now."""

    def __init__(self, step: TransformInputs, pipeline: Pipeline, context: Context) -> None:
        self.step, self.pipeline, self.context = step, pipeline, context
        pairs = chosen(pipeline, context)
        self.sites = {site.name: site for site, _ in pairs}
        self.schemes = {s.name: _within_splits(pipeline, s, scheme) for s, scheme in pairs}
        folds = pipeline.adapter.folds(pipeline.network)
        self.todo = {fold.name: fold for fold in folds if self.wanted(fold)}
        self.total = len(self.todo)
        weight_range = range_rule(step.look)
        self.provisional = Provisional(pipeline, self.schemes, weight_range, step.activations)

    def wanted(self, fold: Fold) -> bool:
        """Whether the pass may touch `fold`: its sites are of the roles it is for."""
        if not all(name in self.sites for name in fold.consumers):
            return False
        layers = [self.pipeline.network.get_submodule(name) for name in fold.consumers]
        roles = {self.sites[name].role.value for name in fold.consumers}
        free = Absorb.SCALE in fold.takes or fold.turn is not None
        whole = all(_ungrouped(layer) for layer in layers)
        return whole and roles <= set(self.step.roles) and (free or self.step.online)

    def read_by(self, fold: Fold) -> Site:
        """The site whose input is looked at: all consumers read the same."""
        return self.sites[fold.consumers[0]]

    def sample(self, site: Site) -> RowSamples:
        """An empty sample of a site's input."""
        return RowSamples(site, self.step.rows)

    def block(self, unit: Unit) -> None:
        """Change the folds of one block, then round the block for those that follow."""
        within = sites_inside(unit.block, self.sites)
        inside = [fold for fold in self.todo.values() if fold.consumers[0] in within]
        sites = [self.read_by(fold) for fold in inside]
        samples = {site.name: self.sample(site) for site in sites}
        unit.observe(samples)
        for fold, site in zip(inside, sites, strict=True):
            self.finish(fold, samples[site.name].rows())
        if self.step.sequential:
            self.provisional.round([self.sites[name] for name in within], unit)

    def finish(self, fold: Fold, rows: Rows) -> None:
        """Choose the change of basis of one fold and make it."""
        transform, entry = self.choose(fold, self.view(fold, rows))
        apply_transform(self.pipeline.network, fold, transform)
        entry["folded"] = not costs_work(self.pipeline.network, fold, transform)
        for name in fold.consumers:
            self.context.site_report(name)["transform"] = entry
        del self.todo[fold.name]
        self.context.progress("changing bases", self.total - len(self.todo), self.total)

    def view(self, fold: Fold, rows: Rows) -> FoldView:
        """The fold as the rules see it."""
        layers = consumers(self.pipeline.network, fold)
        site = self.read_by(fold)
        scheme = self.schemes[site.name].activation
        ranges = replace(self.step.activations, range=self.step.look)
        return FoldView(
            sample=SiteRows.of(rows, site, scheme, self.pipeline, ranges),
            weights=[matrix_of(layer) for layer in layers],
            schemes=[self.schemes[name].weight for name in fold.consumers],
            weight_range=range_rule(self.step.look),
            run=0 if fold.turn is None else fold.run,
            seed=self.context.seed,
            sinks=sinks(site, self.pipeline),
            shiftable=self.step.online or Absorb.SHIFT in absorbed(fold, layers),
            # Convolutions have no rotation before them, not even those of a single tap.
            rotatable=all(isinstance(layer, QuantLinear) for layer in layers),
        )

    def choose(self, fold: Fold, view: FoldView) -> tuple[Transform, dict[str, Any]]:
        """The change of basis of one fold, and its entry in the report."""
        best, tried = Transform(), 1
        before = least = view.error(best)
        candidates = (candidate for rule in self.step.rules for candidate in rule(view))
        if self.step.accept == "first":
            best = next(candidates, best)
            return best, _entry(best, before, view.error(best), tried)
        for candidate in islice(self._permitted(candidates, fold), self.limit(view)):
            tried += 1
            error = view.error(candidate)
            dearer = self._costs(fold, candidate) and not self._costs(fold, best)
            if error < least * (1 - self.step.toll * dearer):
                best, least = candidate, error
        return best, _entry(best, before, least, tried)

    def limit(self, view: FoldView) -> int | None:
        """How many candidates the fold may try within its share of the budget."""
        if self.step.seconds is None:
            return None
        return max(1, int(self.step.seconds / self.total / view.seconds))

    def _permitted(self, candidates: Iterator[Transform], fold: Fold) -> Iterator[Transform]:
        """The candidates with usable scales, and without work at run time unless that is wanted."""
        for candidate in candidates:
            scale = candidate.scale
            sound = scale is None or bool((scale.isfinite() & (scale > 0)).all())
            if sound and (self.step.online or not self._costs(fold, candidate)):
                yield candidate

    def _costs(self, fold: Fold, transform: Transform) -> bool:
        return costs_work(self.pipeline.network, fold, transform)


def sinks(site: Site, pipeline: Pipeline) -> int:
    """The number of leading positions whose inputs are unlike all others."""
    if pipeline.adapter.style == "diffusion" or not site.tokens:
        return 0
    return site.runs[-1] if len(site.runs) > 1 else 1


def _ungrouped(layer: nn.Module) -> bool:
    return isinstance(layer, QuantLinear) or (isinstance(layer, QuantConv2d) and layer.groups == 1)


def _within_splits(pipeline: Pipeline, site: Site, scheme: SiteScheme) -> SiteScheme:
    """The scheme with weight scales that do not cross a split of the input."""
    if scheme.weight is None:
        return scheme
    layer = pipeline.network.get_submodule(site.name)
    return replace(scheme, weight=within_splits(scheme.weight, site, layer))


def _entry(best: Transform, before: float, after: float, tried: int) -> dict[str, Any]:
    entry = {
        "choice": best.label,
        "output_error": after,
        "output_error_before": before,
        "tried": tried,
    }
    if best.predicted is not None and all(map(math.isfinite, best.predicted)):
        entry |= {"predicted_start": best.predicted[0], "predicted": best.predicted[1]}
    return entry
