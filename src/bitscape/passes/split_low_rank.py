"""A 16-bit low-rank branch beside each weight, so that less is left to round."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bitscape.algorithms.lowrank import residual_branch
from bitscape.calibration import hessians
from bitscape.formats import QuantScheme
from bitscape.nn import QuantLinear
from bitscape.passes.base import Context, Field
from bitscape.passes.quantize_weights import weight_sites
from bitscape.passes.rounders import Nearest
from bitscape.passes.site_weight import matrix_of
from bitscape.quantizers import dequantize_weight
from bitscape.structure import Pipeline


@dataclass(frozen=True)
class SplitLowRank:
    """Split the best low-rank part off every linear weight that will be rounded.

    `rank` 0 stands for `share` of the weight's narrower side, at least one. Of `rounds` rounds the
    one with the least output error tr(E H E^T), E being what rounding to nearest loses, is kept.
    """

    before: ClassVar[frozenset[Field]] = frozenset({"lowrank", "delta", "codes", "activation"})
    writes: ClassVar[frozenset[Field]] = frozenset({"lowrank"})

    rank: int = 0
    share: float = 1 / 32
    rounds: int = 10
    range: str = "minmax"

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        """Whether there is a weight to round."""
        return bool(scheme.weights)

    @torch.no_grad()
    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        """Edit weights and branches."""
        calls = context.calibrated("a low-rank branch").calls
        layers = [
            (site, scheme, layer)
            for site, scheme in weight_sites(pipeline, context.scheme)
            if isinstance(layer := pipeline.network.get_submodule(site.name), QuantLinear)
        ]
        found = hessians(pipeline, calls, [site for site, _, _ in layers])
        nearest = Nearest(self.range)
        for done, (site, scheme, layer) in enumerate(layers, start=1):
            W, H = matrix_of(layer), found.pop(site.name).matrix()

            def rounding(residual: Tensor, scheme=scheme) -> Tensor:  # type: ignore[no-untyped-def]
                rounded = nearest(residual, scheme)
                return dequantize_weight(rounded.codes, rounded.grid, scheme)

            def error(E: Tensor, H: Tensor = H) -> float:
                return float(((E @ H) * E).sum(dtype=torch.float64))

            rank = self._rank(W)
            (up, down), errors = residual_branch(W, rank, rounding, error, self.rounds)
            layer.split_off(up, down)
            entry = context.site_report(site.name)
            entry["lowrank"] = {"rank": rank, "error_first": errors[0], "error": min(errors)}
            context.progress("splitting off low ranks", done, len(layers))

    def _rank(self, W: Tensor) -> int:
        narrow = min(W.shape)
        return min(narrow, self.rank or max(1, round(self.share * narrow)))
