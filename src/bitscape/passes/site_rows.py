"""Sampled inputs of one site, linear or convolution, and how they will be rounded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from bitscape.calibration import Rows
from bitscape.formats import SiteScheme
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes.quantize_activations import QuantizeActivations
from bitscape.passes.rounders import range_rule
from bitscape.passes.static_rows import rounded_static
from bitscape.quantizers import RangeRule, fake_quantize_dynamic
from bitscape.structure import Pipeline, Site


@dataclass(frozen=True)
class SiteRows:
    """Rows that meet the rows of a site's weight matrix.

    `splits` are the columns of each split of the input, `row_of` the row of the static table that
    each sampled row will use, `taps` the columns of one input channel.
    """

    rows: Rows
    scheme: SiteScheme
    splits: tuple[int, ...]
    taps: int
    row_of: Int64[Tensor, " row"]
    range: RangeRule
    by_token: bool

    @classmethod
    def of(
        cls,
        rows: Rows,
        site: Site,
        scheme: SiteScheme,
        pipeline: Pipeline,
        activations: QuantizeActivations,
    ) -> "SiteRows":
        """The rows of `site`, whose static ranges are found as `activations` says."""
        layer = pipeline.network.get_submodule(site.name)
        conv = isinstance(layer, QuantConv2d)
        taps = math.prod(layer.weight_shape[2:]) if isinstance(layer, QuantConv2d) else 1
        table = activations.table_rows(rows.seen.tolist(), site, pipeline)
        row_of = torch.tensor(table, device=rows.X.device)
        return cls(
            rows=rows,
            scheme=scheme,
            splits=tuple(width * taps for width in site.splits) or (rows.X.shape[1],),
            taps=taps,
            row_of=row_of[torch.searchsorted(rows.seen, rows.positions)],
            range=range_rule(activations.range),
            by_token=not conv,
        )

    def rounded(self, U: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
        """`U` as the activation quantizer gives it; its static ranges are those of these rows.

        A convolution has no range for each window: dynamic ones are those of all rows here.
        """
        scheme = self.scheme.activation
        if scheme is None:
            return U
        if scheme.dynamic and self.by_token:
            return fake_quantize_dynamic(U, scheme)
        return rounded_static(U, self.row_of, self.splits, scheme, self.range)

    def scaled(self, scale: Float[Tensor, " channel"]) -> Float[Tensor, "row column"]:
        """The rows behind a scale of each input channel."""
        return self.rows.X / scale.repeat_interleave(self.taps)

    def max_abs(self) -> Float[Tensor, " channel"]:
        """The largest magnitude of each input channel over all rows that were seen."""
        return self.rows.max_abs.view(-1, self.taps).amax(dim=1)


def matrices(layers: Sequence[QuantLinear | QuantConv2d]) -> list[Float[Tensor, "_ column"]]:
    """The float weights of `layers` as matrices."""
    return [w.detach().flatten(1).float() for layer in layers if (w := layer.weight) is not None]
