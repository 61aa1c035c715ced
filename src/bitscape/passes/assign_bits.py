"""Bits for each output row of every weight, around the width that the scheme gives."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool
from torch import Tensor

from bitscape.algorithms.row_bits import Choice, row_errors, swap_by_error
from bitscape.calibration import Rows, RowSamples
from bitscape.formats import Int, MixedInt, QuantScheme, SiteScheme, TensorScheme
from bitscape.passes.base import Context, Field, with_sites
from bitscape.passes.quantize_activations import QuantizeActivations
from bitscape.passes.quantize_weights import check_weights, weight_sites, within_splits
from bitscape.passes.rounders import Nearest, Rounder
from bitscape.passes.sampled_inputs import sampled_inputs
from bitscape.passes.site_rows import SiteRows
from bitscape.passes.site_weight import layer_of, matrix_of
from bitscape.quantizers import dequantize_weight
from bitscape.structure import Pipeline, Site


@dataclass(frozen=True)
class AssignBits:
    """Let rows of signed integer weights of 2 to 7 bits have one bit more or less.

    `choose` decides from the rows and their errors at the three widths, which are true errors of
    the outputs on sampled inputs, both operands rounded: weights by `rounder`, which has to be that
    of the passes that follow, since rows that GPTQ rounds gain otherwise than the nearest; static
    ranges of activations as `activations` says. A rounder that reads inputs reads those at every
    other position, and errors are those at the positions between: a vector that conditions all of a
    sample is the same whenever its step and class are, and a row of few bits fits what it has read.
    The choice is written into the scheme.
    """

    before: ClassVar[frozenset[Field]] = frozenset({"codes", "activation"})
    writes: ClassVar[frozenset[Field]] = frozenset()

    choose: Choice = swap_by_error
    rounder: Rounder = Nearest("mse")
    activations: QuantizeActivations = QuantizeActivations()
    rows: int = 1024

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        """Whether there is a width to vary."""
        return any(map(self.varies, scheme.sites))

    @staticmethod
    def varies(scheme: SiteScheme) -> bool:
        """Whether rows of a site with `scheme` may differ in width."""
        fmt = None if scheme.weight is None else scheme.weight.format
        return isinstance(fmt, Int) and fmt.signed and 2 <= fmt.bits <= 7

    @torch.no_grad()
    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        """Put the widths into the context's scheme, and what they save into the report."""
        check_weights(pipeline, context.scheme)
        sites = {site.name: site for site, _ in weight_sites(pipeline, context.scheme)}
        schemes = {n: context.scheme.at(s.role.value, n) for n, s in sites.items()}
        left = {name: site for name, site in sites.items() if self.varies(schemes[name])}
        if not left:
            return
        calls = context.calibrated("the choice of bits").calls
        chosen = {
            site.name: self.widths(site, kept, pipeline, context)
            for site, kept in sampled_inputs(pipeline, calls, left.values(), self.rows)
        }
        context.scheme = with_sites(context.scheme, chosen)

    def widths(
        self, site: Site, samples: RowSamples, pipeline: Pipeline, context: Context
    ) -> SiteScheme:
        """The scheme of one site with the widths of its rows."""
        scheme = context.scheme.at(site.role.value, site.name)
        view = SiteRows.of(samples.rows(), site, scheme.activation, pipeline, self.activations)
        layer = layer_of(pipeline.network, site.name)
        W = matrix_of(layer)
        assert scheme.weight is not None and isinstance(scheme.weight.format, Int)
        base = scheme.weight.format.bits
        errors = self.errors(W, within_splits(scheme.weight, site, layer), view)
        offsets = self.choose(W, errors)
        widths = tuple((offsets + base).tolist())
        picked = errors.gather(0, (offsets + 1)[None]).sum()
        context.site_report(site.name)["row_bits"] = {
            "rows": {str(width): n for width, n in sorted(Counter(widths).items())},
            "error": float(picked),
            "error_uniform": float(errors[1].sum()),
        }
        return replace(scheme, weight=replace(scheme.weight, format=MixedInt(base, widths)))

    def errors(self, W: Tensor, weight: TensorScheme, view: SiteRows) -> Tensor:
        """The squared error of each row's output at one bit less, as many, and one more."""
        assert isinstance(weight.format, Int)
        base, found, H = weight.format.bits, [], None
        X, X_hat, weights = view.rows.X, view.rounded(view.rows.X), view.rows.weights
        if self.rounder.reads_inputs:
            read, judged = halves(view.rows)
            kept = X[read] * (weights[read] / weights[read].mean()).sqrt()[:, None]
            H = 2 / len(kept) * kept.T @ kept
            X, X_hat, weights = X[judged], X_hat[judged], weights[judged]
        for width in (base - 1, base, base + 1):
            fmt = MixedInt(base, (width,) * len(W))
            scheme = replace(weight, format=fmt)
            rounded = self.rounder(W, scheme, H)
            W_hat = dequantize_weight(rounded.codes, rounded.grid, scheme)
            found.append(row_errors(X, X_hat, W, W_hat, weights))
        return torch.stack(found)


def halves(rows: Rows) -> tuple[Bool[Tensor, " row"], Bool[Tensor, " row"]]:
    """The rows at every other position that was seen, and those between.

    Every other row where there is but one position; one row is both.
    """
    place = torch.searchsorted(rows.seen, rows.positions)
    if bool((place == place[0]).all()):
        place = torch.arange(len(place), device=place.device)
    even = place % 2 == 0
    return even, ~even if len(place) > 1 else even
