"""Gain-projected scaling as rules: as PTQ4ARVG's code computes it, and improved."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bitscape.algorithms import (
    error_shares,
    gps_gain_factors,
    predicted_error,
    within_validity,
)
from bitscape.passes.fold_view import FoldView
from bitscape.passes.rules import smoothed
from bitscape.passes.site_rows import SiteRows
from bitscape.passes.transform import Transform
from bitscape.quantizers import fake_quantize


@dataclass(frozen=True)
class FaithfulGain:
    """SmoothQuant's scale, the symmetrising shift, then the gains against the widest channel.

    All on the tokens after the sinks. Activations are rounded for the gains with the grid of the
    widest channel, which stands for that of the tensor.
    """

    alpha: float = 0.5

    def __call__(self, fold: FoldView) -> Iterator[Transform]:
        """The one candidate; none for a convolution, whose windows hold a channel many times."""
        if fold.sample.taps > 1:
            return
        seen = replace(fold, sample=fold.sample.after(fold.sinks))
        smooth = smoothed(seen, self.alpha)
        scale = smooth.scale
        assert scale is not None
        ones = torch.ones_like(scale)
        shifted = smooth
        if fold.shiftable:
            low, high = channel_limits(smooth.inputs(seen.sample.rows.X), fold.sample)
            shifted = smooth.then(f"{smooth.label} + shift", ones, (low + high) / 2)
        if fold.sample.scheme is None:
            yield shifted
            return
        U = shifted.inputs(seen.sample.rows.X)
        A, B, widest = self._shares(U, shifted, seen)
        t = gps_gain_factors(A, B, widest)
        yield replace(
            shifted.then(f"{shifted.label} + gps", t),
            predicted=(predicted_error(A, B, ones), predicted_error(A, B, t)),
        )

    def _shares(self, U: Tensor, before: Transform, fold: FoldView) -> tuple[Tensor, Tensor, int]:
        sample, scheme = fold.sample, fold.sample.scheme
        assert scheme is not None
        spans = U.amax(dim=0) - U.amin(dim=0)
        widest = int(spans.argmax())
        column = U[:, widest].reshape(1, 1, -1)
        grid = sample.range(column, scheme.format, scheme.symmetric)
        U_hat = fake_quantize(U[None], grid, scheme.format)[0]
        root = sample.rows.weights.sqrt()[:, None]
        rounded = fold.rounded_weights(before)
        pairs = [error_shares(U * root, U_hat * root, W, W_hat) for W, W_hat in rounded]
        A, B = (torch.stack(parts).sum(dim=0) for parts in zip(*pairs, strict=True))
        return A, B, widest


@dataclass(frozen=True)
class Gain:
    """Gains by the rounding that each token group really gets, from the best start.

    Starts are x itself and SmoothQuant's scales, each with and without the shift. From the one of
    least error the gains are projected `rounds` times, clamped to where their derivation holds and
    raised to each of `damping`.
    """

    alphas: tuple[float | None, ...] = (None, 0.3, 0.5, 0.7, 0.85)
    damping: tuple[float, ...] = (0.5, 1.0)
    rounds: int = 2
    shift: bool = True

    def __call__(self, fold: FoldView) -> Iterator[Transform]:
        """The best start, then the candidates, each with the error that the model predicts.

        Nothing for a convolution, whose windows hold a channel many times.
        """
        if fold.sample.taps > 1:
            return
        start = min(self._starts(fold), key=fold.error)
        yield start
        if fold.sample.scheme is None:
            return
        before = start
        for turn in range(1, self.rounds + 1):
            A, B = fold.shares(before)
            # Of all rows seen: the rare extremes that a sample misses would leave the range.
            spans = fold.sample.rows.high.amax(dim=0) - fold.sample.rows.low.amin(dim=0)
            spans = spans if before.scale is None else spans / before.scale
            full = within_validity(gps_gain_factors(A, B, int(spans.argmax())), spans)
            now = predicted_error(A, B, torch.ones_like(full)) / fold.plain
            for power in self.damping:
                t = full.pow(power)
                label = f"{start.label} + gps^{power:g} round {turn}"
                predicted = (now, predicted_error(A, B, t) / fold.plain)
                yield replace(before.then(label, t), predicted=predicted)
            before = before.then(start.label, full)

    def _starts(self, fold: FoldView) -> Iterator[Transform]:
        X = fold.sample.rows.X
        ones = torch.ones(fold.sample.width, device=X.device)
        for alpha in self.alphas:
            start = Transform("none", ones) if alpha is None else smoothed(fold, alpha)
            yield start
            if self.shift and fold.shiftable:
                low, high = channel_limits(start.inputs(X), fold.sample)
                yield start.then(f"{start.label} + shift", ones, (low + high) / 2)


def channel_limits(U: Tensor, sample: SiteRows) -> tuple[Tensor, Tensor]:
    """The lower and upper limit of each channel, by the range rule of the activations."""
    scheme = sample.scheme
    if scheme is None or scheme.symmetric:
        return U.amin(dim=0), U.amax(dim=0)
    grid = sample.range(U.T[:, None].contiguous(), scheme.format, False)
    assert grid.zero is not None
    low = -grid.zero * grid.scale
    high = (scheme.format.highest - grid.zero) * grid.scale
    return low.flatten(), high.flatten()
