"""A scale for each input channel of every site, convolutions included."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bitscape.algorithms import column_maxima, smoothquant_scale, unit_gauge
from bitscape.algorithms.row_bits import row_errors
from bitscape.calibration import RowSamples
from bitscape.formats import QuantScheme
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes.base import Context, Field
from bitscape.passes.fold_view import nearest_weight
from bitscape.passes.folding import apply_transform
from bitscape.passes.quantize_activations import QuantizeActivations
from bitscape.passes.quantize_weights import layer_of, weight_sites
from bitscape.passes.rounders import range_rule
from bitscape.passes.sampled_inputs import sampled_inputs
from bitscape.passes.site_rows import SiteRows, matrices
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
        sites = [scheme.default, *(site for _, site in scheme.roles)]
        return any(site.weight is not None for site in sites)

    @torch.no_grad()
    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        """Edit prologues, weights and producers."""
        calls = context.calibrated("a balance of inputs").calls
        sites = {site.name: site for site, _ in weight_sites(pipeline, context.scheme)}
        readers = self.readers(pipeline, sites)
        first = [sites[name] for name in readers]
        for site, kept in sampled_inputs(pipeline, calls, first, self.rows):
            names, fold = readers[site.name]
            self.balance([sites[name] for name in names], fold, kept, pipeline, context)

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

    def balance(
        self,
        sites: Sequence[Site],
        fold: Fold | None,
        samples: RowSamples,
        pipeline: Pipeline,
        context: Context,
    ) -> None:
        """Choose the scale of one input and put it in."""
        scheme = context.scheme.at(sites[0].role.value, sites[0].name)
        view = SiteRows.of(samples.rows(), sites[0], scheme, pipeline, self.activations)
        layers = [layer_of(pipeline.network, site.name) for site in sites]
        weights = matrices(layers)
        x_max = view.max_abs()
        w_max = column_maxima(weights).view(-1, view.taps).amax(dim=1)
        scales = {a: unit_gauge(smoothquant_scale(x_max, w_max, a)) for a in self.alphas}
        best: float | None = self.alphas[0]
        if len(self.alphas) > 1:
            plain = torch.ones_like(x_max)
            errors = {a: self.error(view, weights, s) for a, s in scales.items()}
            best = min(errors, key=errors.__getitem__)
            best = best if errors[best] < self.error(view, weights, plain) else None
        for site in sites:
            context.site_report(site.name)["balance"] = best
        if best is None:
            return
        if fold is not None:
            transform = Transform(f"balance {best:g}", scales[best])
            apply_transform(pipeline.network, fold, transform)
        else:
            layers[0].affine(scales[best])

    def error(self, view: SiteRows, weights: Sequence[Tensor], scale: Tensor) -> float:
        """The squared error of the outputs behind `scale`, both operands rounded."""
        U = view.scaled(scale)
        U_hat, columns = view.rounded(U), scale.repeat_interleave(view.taps)
        total = 0.0
        for W in weights:
            turned = W * columns
            W_hat = nearest_weight(turned, view.scheme.weight, range_rule(self.range))
            total += float(row_errors(U, U_hat, turned, W_hat, view.rows.weights).sum())
        return total


def _grouped(layer: QuantLinear | QuantConv2d) -> bool:
    return isinstance(layer, QuantConv2d) and layer.groups != 1
