"""A fold as rules see it: its input, its consumers' weights, and how both will be rounded."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.algorithms import column_maxima, dilation_scale, error_shares, output_error
from bitscape.formats import TensorScheme
from bitscape.passes.site_rows import SiteRows
from bitscape.passes.transform import Transform
from bitscape.quantizers import (
    RangeRule,
    dequantize_weight,
    group_views,
    quantize_weight,
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

    `run` is the run of channels that a rotation may not cross, 0 for none; `seed` draws its signs.
    Positions before `sinks` are those of leading tokens that are unlike all others. `shiftable` and
    `rotatable` say whether x may be shifted and rotated.
    """

    sample: SiteRows
    weights: Sequence[Float[Tensor, "_ column"]]
    schemes: Sequence[TensorScheme | None]
    weight_range: RangeRule
    run: int = 0
    seed: int = 0
    sinks: int = 0
    shiftable: bool = True
    rotatable: bool = True

    @property
    def column_maxima(self) -> Channels:
        """The largest magnitude of each channel's weights, over all consumers."""
        return self.sample.by_channel(column_maxima(self.weights)).amax(dim=1)

    def dilation(self, *, published: bool) -> Channels:
        """How far each channel's weights can grow, all of its taps and consumers considered."""
        symmetric = all(s is not None and s.symmetric for s in self.schemes)
        scale_of = partial(dilation_scale, magnitudes=symmetric and not published)
        found = []
        for W, scheme in zip(self.weights, self.schemes, strict=True):
            views = [W] if scheme is None else group_views(W, scheme.granularity)
            entries = torch.cat([scale_of([view]) for view in views])
            # One range for the whole matrix has an entry for every weight, not for every column.
            found.append(entries.view(-1, W.shape[1]).amin(dim=0))
        return self.sample.by_channel(torch.stack(found).amin(dim=0)).amin(dim=1)

    @cached_property
    def plain(self) -> float:
        """The squared output of full precision, to which errors are relative."""
        X, weights = self.sample.rows.X, self.sample.rows.weights
        power = [torch.dot((X @ W.T).square().sum(dim=1), weights) for W in self.weights]
        return max(float(sum(power)), torch.finfo(torch.float32).tiny)

    @property
    def seconds(self) -> float:
        """What `error` takes at a nominal speed."""
        rows, outputs = len(self.sample.rows.X), sum(len(W) for W in self.weights)
        products = 4 * rows * outputs * self.sample.width
        ranges = RANGE_OPERATIONS * self.sample.width * (outputs + rows)
        return OVERHEAD + (products + ranges) / NOMINAL_SPEED

    def error(self, transform: Transform) -> float:
        """The relative squared error of the consumers' outputs, rounded behind `transform`."""
        U = self.inputs(transform)
        U_hat = self.sample.rounded(U)
        total = 0.0
        for turned, W_hat in self.rounded_weights(transform):
            total += output_error(U, U_hat, turned, W_hat, self.sample.rows.weights)
        return total / self.plain

    def shares(self, transform: Transform) -> tuple[Tensor, Tensor]:
        """The shares A and B of each channel in the error behind `transform`, over all consumers.

        The rounding of the inputs is that of their own groups, not of one reference channel.
        """
        U, root = self.inputs(transform), self.sample.rows.weights.sqrt()[:, None]
        U_hat = self.sample.rounded(U)
        rounded = self.rounded_weights(transform)
        pairs = [error_shares(U * root, U_hat * root, W, W_hat) for W, W_hat in rounded]
        A, B = (torch.stack(parts).sum(dim=0) for parts in zip(*pairs, strict=True))
        by_channel = self.sample.by_channel
        return by_channel(A).sum(dim=1), by_channel(B).sum(dim=1)

    def inputs(self, transform: Transform) -> Float[Tensor, "row column"]:
        """The sampled rows behind `transform`."""
        return self._widened(transform).inputs(self.sample.rows.X)

    def rounded_weights(self, transform: Transform) -> list[tuple[Tensor, Tensor]]:
        """Each consumer's weight behind `transform`, and the same rounded to nearest."""
        wide = self._widened(transform)
        turned = [wide.weight(W) for W in self.weights]
        return [
            (W, nearest_weight(W, scheme, self.weight_range))
            for W, scheme in zip(turned, self.schemes, strict=True)
        ]

    def _widened(self, transform: Transform) -> Transform:
        """`transform` for every tap of each channel."""
        taps = self.sample.taps
        if taps == 1:
            return transform
        assert not transform.order
        scale, shift = (
            None if v is None else v.repeat_interleave(taps)
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
