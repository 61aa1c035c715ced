"""A fold as rules see it: its input, its consumers' weights, and how both will be rounded."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from bitscape.algorithms import column_maxima, dilation_scale, error_shares, output_error
from bitscape.calibration import Rows
from bitscape.formats import SiteScheme, TensorScheme
from bitscape.passes.static_rows import rounded_static
from bitscape.passes.transform import Transform
from bitscape.quantizers import (
    RangeRule,
    dequantize_weight,
    fake_quantize_dynamic,
    minmax,
    quantize_weight,
    to_groups,
    weight_grid,
)

Channels = Float[Tensor, " channel"]

NOMINAL_SPEED = 1e10
"""Operations a second that a budget reckons with: two cores of a laptop."""
RANGE_OPERATIONS = 500
"""Operations on each number to find a range by search and to round it."""
OVERHEAD = 2e-3
"""Seconds that a candidate takes however small its layer."""


@dataclass(frozen=True)
class FoldView:
    """Sampled rows of x, the weights W of every consumer and their schemes.

    Of a convolution the rows are windows: `taps` columns for each channel; `splits` of which, so
    many columns each, have ranges of their own. `row_of` is the row of the static table that each
    sampled row of x will use. `run` is the run of channels that a rotation may not cross, 0 for
    none; `seed` draws its signs. Positions before `sinks` are those of leading tokens that are
    unlike all others. `shiftable` and `rotatable` say whether x may be shifted and rotated.
    """

    rows: Rows
    weights: Sequence[Float[Tensor, "_ channel"]]
    schemes: Sequence[SiteScheme]
    row_of: Int64[Tensor, " row"]
    weight_range: RangeRule
    activation_range: RangeRule
    run: int = 0
    seed: int = 0
    sinks: int = 0
    shiftable: bool = True
    rotatable: bool = True
    taps: int = 1
    splits: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """The number of input channels."""
        return self.rows.X.shape[1] // self.taps

    @property
    def max_abs(self) -> Channels:
        """The largest magnitude of each channel of x."""
        return self._by_channel(self.rows.max_abs).amax(dim=1)

    @property
    def ends(self) -> Float[Tensor, "end channel"]:
        """How far each channel of x reaches from zero to each end that its grid has."""
        if self.activation is None or self.activation.symmetric:
            return self.max_abs[None]
        high, low = self.rows.high.amax(dim=0), self.rows.low.amin(dim=0)
        ends = (self._by_channel(high).amax(dim=1), -self._by_channel(low).amin(dim=1))
        return torch.stack(ends).clamp(min=0.0)

    @property
    def mean_abs(self) -> Channels:
        """The mean magnitude of each channel of x."""
        return self._by_channel(self.rows.mean_abs).mean(dim=1)

    @property
    def column_maxima(self) -> Channels:
        """The largest magnitude of each channel's weights, over all consumers."""
        return self._by_channel(column_maxima(self.weights)).amax(dim=1)

    def dilation(self, *, published: bool) -> Channels:
        """How far each channel's weights can grow, all of its taps and consumers considered."""
        pairs = [(W, s.weight) for W, s in zip(self.weights, self.schemes, strict=True)]
        symmetric = all(s is not None and s.symmetric for _, s in pairs)
        found = []
        for W, scheme in pairs:
            grouped = W if scheme is None else to_groups(W, scheme.granularity)
            entries = dilation_scale([grouped], magnitudes=symmetric and not published)
            # One range for the whole matrix has an entry for every weight, not for every column.
            found.append(entries.view(-1, W.shape[1]).amin(dim=0))
        return self._by_channel(torch.stack(found).amin(dim=0)).amin(dim=1)

    @cached_property
    def plain(self) -> float:
        """The squared output of full precision, to which errors are relative."""
        weights = self.rows.weights
        power = [torch.dot((self.rows.X @ W.T).square().sum(dim=1), weights) for W in self.weights]
        return max(float(sum(power)), torch.finfo(torch.float32).tiny)

    @property
    def seconds(self) -> float:
        """What `error` takes at a nominal speed."""
        rows, outputs = len(self.rows.X), sum(len(W) for W in self.weights)
        products = 4 * rows * outputs * self.width
        ranges = RANGE_OPERATIONS * self.width * (outputs + rows)
        return OVERHEAD + (products + ranges) / NOMINAL_SPEED

    def error(self, transform: Transform) -> float:
        """The relative squared error of the consumers' outputs, rounded behind `transform`."""
        U = self.inputs(transform)
        U_hat = self.rounded_inputs(U)
        total = 0.0
        for turned, W_hat in self.rounded_weights(transform):
            total += output_error(U, U_hat, turned, W_hat, self.rows.weights)
        return total / self.plain

    def shares(self, transform: Transform) -> tuple[Tensor, Tensor]:
        """The shares A and B of each channel in the error behind `transform`, over all consumers.

        The rounding of the inputs is that of their own groups, not of one reference channel.
        """
        U, root = self.inputs(transform), self.rows.weights.sqrt()[:, None]
        U_hat = self.rounded_inputs(U)
        rounded = self.rounded_weights(transform)
        pairs = [error_shares(U * root, U_hat * root, W, W_hat) for W, W_hat in rounded]
        A, B = (torch.stack(parts).sum(dim=0) for parts in zip(*pairs, strict=True))
        return self._by_channel(A).sum(dim=1), self._by_channel(B).sum(dim=1)

    def inputs(self, transform: Transform) -> Float[Tensor, "row column"]:
        """The sampled rows behind `transform`."""
        return self._widened(transform).inputs(self.rows.X)

    @property
    def activation(self) -> TensorScheme | None:
        """The scheme of x; consumers of one input round it in one way."""
        return self.schemes[0].activation

    def rounded_inputs(self, U: Float[Tensor, "row channel"]) -> Float[Tensor, "row channel"]:
        """`U` as the activation quantizer gives it, static ranges being those of these rows."""
        scheme = self.activation
        if scheme is None:
            return U
        # A convolution has no range for a window: that of a step stands for that of a sample.
        if scheme.dynamic and self.taps == 1:
            return fake_quantize_dynamic(U, scheme)
        rule = minmax if scheme.dynamic else self.activation_range
        return rounded_static(U, self.row_of, self.splits or (U.shape[1],), scheme, rule)

    def rounded_weights(self, transform: Transform) -> list[tuple[Tensor, Tensor]]:
        """Each consumer's weight behind `transform`, and the same rounded to nearest."""
        wide = self._widened(transform)
        turned = [wide.weight(W) for W in self.weights]
        return [
            (W, nearest_weight(W, scheme.weight, self.weight_range))
            for W, scheme in zip(turned, self.schemes, strict=True)
        ]

    def _by_channel(self, columns: Float[Tensor, " column"]) -> Float[Tensor, "channel tap"]:
        return columns.view(-1, self.taps)

    def _widened(self, transform: Transform) -> Transform:
        """`transform` for every tap of each channel."""
        if self.taps == 1:
            return transform
        assert not transform.order
        scale, shift = (
            None if v is None else v.repeat_interleave(self.taps)
            for v in (transform.scale, transform.shift)
        )
        return Transform(transform.label, scale, shift)


def nearest_weight(
    W: Float[Tensor, "out channel"], scheme: TensorScheme | None, rule: RangeRule
) -> Float[Tensor, "out channel"]:
    """`W` rounded to nearest by `scheme`; unchanged without one."""
    if scheme is None:
        return W
    grid = weight_grid(W, scheme, rule)
    return dequantize_weight(quantize_weight(W, grid, scheme), grid, scheme)
