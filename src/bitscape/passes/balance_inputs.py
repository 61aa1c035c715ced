"""A scale for each input channel of every site, convolutions included."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from bitscape.formats import QuantScheme
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes.base import Context, Field
from bitscape.passes.fold_view import FoldView
from bitscape.passes.folding import apply_transform
from bitscape.passes.quantize_activations import QuantizeActivations
from bitscape.passes.quantize_weights import weight_sites
from bitscape.passes.rounders import range_rule
from bitscape.passes.rules import smoothed
from bitscape.passes.sampled_inputs import sampled_inputs
from bitscape.passes.site_rows import SiteRows
from bitscape.passes.site_weight import layer_of, matrix_of
from bitscape.passes.transform import Transform
from bitscape.structure import Fold, Pipeline, Site


@dataclass(frozen=True)
class BalanceInputs:
    """Divide inputs by s = max|X|^alpha / max|W|^(1 - alpha) and multiply the weight by it.

    Sites that read the same x have one s, and its producer takes it over where it can; any other s
    stays in the prologue. Each of `alphas` is tried and the one of least output error kept,
    no scale among them; a single alpha is taken as it comes. Grouped convolutions are left alone.
    """

    before: ClassVar[frozenset[Field]] = frozenset(
        {"scale", "shift", "rotation", "lowrank", "delta", "codes", "activation"}
    )
    writes: ClassVar[frozenset[Field]] = frozenset({"scale"})

    alphas: tuple[float, ...] = (0.25, 0.5, 0.75)
    range: str = "mse"
    activations: QuantizeActivations = QuantizeActivations()
    rows: int = 512

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        """Whether there is an operand to make easier."""
        return bool(scheme.weights)

    @torch.no_grad()
    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        """Edit prologues, weights and producers."""
        calls = context.calibrated("a balance of inputs").calls
        found = weight_sites(pipeline, context.scheme)
        sites, schemes = {s.name: s for s, _ in found}, {s.name: weight for s, weight in found}
        readers = self.readers(pipeline, sites)
        first = [sites[name] for name in readers]
        for site, kept in sampled_inputs(pipeline, calls, first, self.rows):
            names, fold = readers[site.name]
            scheme = context.scheme.at(site.role.value, site.name).activation
            view = FoldView(
                sample=SiteRows.of(kept.rows(), site, scheme, pipeline, self.activations),
                weights=[matrix_of(layer_of(pipeline.network, name)) for name in names],
                schemes=[schemes[name] for name in names],
                weight_range=range_rule(self.range),
            )
            transform, alpha = self.choose(view)
            for name in names:
                context.site_report(name)["balance"] = alpha
            if transform.scale is None:
                continue
            if fold is not None:
                apply_transform(pipeline.network, fold, transform)
            else:
                layer_of(pipeline.network, site.name).affine(transform.scale)

    def readers(
        self, pipeline: Pipeline, sites: dict[str, Site]
    ) -> dict[str, tuple[tuple[str, ...], Fold | None]]:
        """The sites that share an input, by the first of them, with the fold they read."""
        network = pipeline.network
        found: dict[str, tuple[tuple[str, ...], Fold | None]] = {}
        for fold in pipeline.adapter.folds(network):
            if all(name in sites for name in fold.consumers):
                found[fold.consumers[0]] = (fold.consumers, fold)
        taken = {name for names, _ in found.values() for name in names}
        alone = {name: ((name,), None) for name in sites if name not in taken}
        return {n: r for n, r in (found | alone).items() if not _grouped(layer_of(network, n))}

    def choose(self, view: FoldView) -> tuple[Transform, float | None]:
        """The scale of one input with its alpha; no scale, and None, where that errs least."""
        tried = {alpha: smoothed(view, alpha) for alpha in self.alphas}
        if len(tried) == 1:
            [(alpha, only)] = tried.items()
            return only, alpha
        errors = {alpha: view.error(transform) for alpha, transform in tried.items()}
        best = min(errors, key=errors.__getitem__)
        if errors[best] < view.error(Transform()):
            return tried[best], best
        return Transform(), None


def _grouped(layer: QuantLinear | QuantConv2d) -> bool:
    return isinstance(layer, QuantConv2d) and layer.groups != 1
