"""Sampled inputs of one site, linear or convolution, and how they will be rounded."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from bitscape.calibration import Rows
from bitscape.formats import TensorScheme
from bitscape.nn import QuantConv2d
from bitscape.passes.quantize_activations import QuantizeActivations
from bitscape.passes.rounders import range_rule
from bitscape.passes.static_rows import rounded_static
from bitscape.quantizers import RangeRule, fake_quantize_dynamic, minmax
from bitscape.structure import Pipeline, Site

Channels = Float[Tensor, " channel"]


@dataclass(frozen=True)
class SiteRows:
    """Rows X that meet the rows of a site's weight matrix; `scheme` rounds them, if there is one.

    `row_of` is the row of the static table that each sampled row will use, and `range` the rule by
    which that table is found. `splits` are the columns of each split of the input, `taps` those of
    one input channel. `by_token` says whether a dynamic range is that of one row.
    """

    rows: Rows
    scheme: TensorScheme | None
    row_of: Int64[Tensor, " row"]
    range: RangeRule
    splits: tuple[int, ...]
    taps: int = 1
    by_token: bool = True

    @classmethod
    def of(
        cls,
        rows: Rows,
        site: Site,
        scheme: TensorScheme | None,
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
            row_of=row_of[torch.searchsorted(rows.seen, rows.positions)],
            range=range_rule(activations.range),
            splits=tuple(width * taps for width in site.splits) or (rows.X.shape[1],),
            taps=taps,
            by_token=not conv,
        )

    @property
    def width(self) -> int:
        """The number of input channels."""
        return self.rows.X.shape[1] // self.taps

    @property
    def max_abs(self) -> Channels:
        """The largest magnitude of each channel over all rows that were seen."""
        return self.by_channel(self.rows.max_abs).amax(dim=1)

    @property
    def mean_abs(self) -> Channels:
        """The mean magnitude of each channel over all rows that were seen."""
        return self.by_channel(self.rows.mean_abs).mean(dim=1)

    @property
    def ends(self) -> Float[Tensor, "end channel"]:
        """How far each channel reaches from zero to each end that its grid has."""
        if self.scheme is None or self.scheme.symmetric:
            return self.max_abs[None]
        high, low = self.rows.high.amax(dim=0), self.rows.low.amin(dim=0)
        ends = (self.by_channel(high).amax(dim=1), -self.by_channel(low).amin(dim=1))
        return torch.stack(ends).clamp(min=0.0)

    def by_channel(self, columns: Float[Tensor, " column"]) -> Float[Tensor, "channel tap"]:
        """A number of each column, with those of a channel in one row."""
        return columns.view(-1, self.taps)

    def after(self, first: int) -> "SiteRows":
        """The rows at positions from `first` on; all of them when there are none."""
        kept = self.rows.positions >= first
        if not bool(kept.any()):
            return self
        return replace(self, rows=self.rows.after(first), row_of=self.row_of[kept])

    def rounded(self, U: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
        """`U` as the activation quantizer gives it; its static ranges are those of these rows.

        A convolution has no range for each window: where it is dynamic, the whole range of all
        windows at a step stands for that of a sample.
        """
        if self.scheme is None:
            return U
        if self.scheme.dynamic and self.by_token:
            return fake_quantize_dynamic(U, self.scheme)
        # Dynamic ranges are those of the very values, whatever rule finds static ones.
        rule = minmax if self.scheme.dynamic else self.range
        return rounded_static(U, self.row_of, self.splits, self.scheme, rule)
