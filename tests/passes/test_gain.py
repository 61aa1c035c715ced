"""Gain-projected scaling as rules: the closed form at each round, within its validity."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bitscape.passes import FaithfulGain, FoldView, Gain, Smooth, Transform
from bitscape.passes.gain import channel_limits
from bitscape.quantizers import fake_quantize, minmax

Make = Callable[..., FoldView]


def gains(A: Tensor, B: Tensor, spans: Tensor) -> Tensor:
    """(B / A)^(1/4), one for the widest channel."""
    t = (B / A) ** 0.25
    t[spans.argmax()] = 1.0
    return t


def test_leading_tokens_apart_from_the_rest_do_not_count(fold_view: Make) -> None:
    view = fold_view(sinks=1)
    sample, rows = view.sample, view.sample.rows
    factors = torch.where(rows.positions == 0, 50.0, 1.0)[:, None]
    ends = torch.tensor([50.0, 1.0, 1.0])[:, None]
    wild = replace(rows, X=rows.X * factors, low=rows.low * ends, high=rows.high * ends)
    changed = replace(view, sample=replace(sample, rows=wild))
    [ours], [theirs] = FaithfulGain()(changed), FaithfulGain()(view)
    assert torch.equal(ours.scale, theirs.scale)
    assert torch.equal(ours.shift, theirs.shift)
    [counted] = FaithfulGain()(replace(changed, sinks=0))
    assert not torch.equal(counted.scale, theirs.scale)


def test_published_gains_are_those_against_the_grid_of_the_widest_channel(fold_view: Make) -> None:
    view = fold_view(shiftable=False)
    [found], [smooth] = FaithfulGain(0.5)(view), Smooth((0.5,))(view)
    U = smooth.inputs(view.sample.rows.X)
    spans = U.amax(dim=0) - U.amin(dim=0)
    scheme = view.sample.scheme
    assert scheme is not None
    grid = minmax(U[:, spans.argmax()].view(1, 1, -1), scheme.format, scheme.symmetric)
    U_hat = fake_quantize(U[None], grid, scheme.format)[0]
    consumers = zip(*view.rounded_weights(smooth), strict=True)
    W, W_hat = (torch.cat(parts) for parts in consumers)
    A = (U - U_hat).square().sum(dim=0) * W_hat.square().sum(dim=0)
    B = U.square().sum(dim=0) * (W - W_hat).square().sum(dim=0)
    t = gains(A, B, spans)
    torch.testing.assert_close(found.scale, smooth.scale * t)
    expected = (float((A + B).sum()), float((t**2 * A + B / t**2).sum()))
    assert found.predicted == pytest.approx(expected, rel=1e-4)
    [unrounded] = FaithfulGain()(fold_view("W4A16", shiftable=False))
    assert unrounded.predicted is None


@pytest.mark.parametrize("scheme", ["W4A4,static", "W8A4,static"], ids=["upper", "lower bound"])
def test_each_round_projects_the_gains_behind_the_one_before(scheme: str, fold_view: Make) -> None:
    view = fold_view(scheme)
    start, *rounds = Gain(alphas=(1.0,), damping=(1.0,), rounds=3, shift=False)(view)
    [before] = Smooth((1.0,))(view)
    assert torch.equal(start.scale, before.scale)
    assert len(rounds) == 3
    reach = view.sample.rows.high.amax(dim=0) - view.sample.rows.low.amin(dim=0)
    cut = []
    for found in rounds:
        A, B = view.shares(before)
        spans = reach / before.scale
        free = gains(A, B, spans)
        t = free.clamp(max=1.0).maximum(spans / spans.max())
        torch.testing.assert_close(found.scale, before.scale * t)
        expected = (float((A + B).sum()), float((t**2 * A + B / t**2).sum()))
        assert found.predicted == pytest.approx([e / view.plain for e in expected], rel=1e-4)
        cut.append(not torch.equal(t, free))
        before = found
    # Otherwise nothing is said of the bounds.
    assert any(cut)


def test_damping_raises_the_gains_to_a_power(fold_view: Make) -> None:
    start, half, full = Gain(alphas=(0.5,), rounds=1, shift=False)(fold_view())
    torch.testing.assert_close(half.scale / start.scale, (full.scale / start.scale) ** 0.5)
    assert not torch.equal(half.scale, full.scale)


def test_the_start_is_the_best_of_all_starts(fold_view: Make) -> None:
    view = fold_view()
    found = next(iter(Gain(alphas=(None, 0.3, 0.85))(view)))
    unmoved = Transform("none", torch.ones(8))
    starts = [unmoved, *Smooth((0.3, 0.85))(view)]
    for start in list(starts):
        low, high = channel_limits(start.inputs(view.sample.rows.X), view.sample)
        starts.append(start.then("shifted", torch.ones(8), (low + high) / 2))
    assert view.error(found) == min(view.error(start) for start in starts)
    assert found.shift is not None
    still = next(iter(Gain(alphas=(None, 0.3, 0.85))(replace(view, shiftable=False))))
    assert still.shift is None


def test_windows_and_float_inputs_have_no_gains(fold_view: Make) -> None:
    assert len(list(Gain(alphas=(0.5,))(fold_view("W4A16")))) == 1
    view = fold_view()
    windows = replace(view, sample=replace(view.sample, taps=2))
    assert list(Gain()(windows)) == list(FaithfulGain()(windows)) == []


def test_limits_of_channels_are_those_of_their_own_grids(fold_view: Make) -> None:
    view = fold_view()
    X = view.sample.rows.X
    low, high = channel_limits(X, view.sample)
    lowest, highest = X.amin(dim=0).clamp(max=0), X.amax(dim=0).clamp(min=0)
    step = (high - low) / 15
    assert bool(((low - lowest).abs() <= step).all())
    assert bool(((high - highest).abs() <= step).all())
    even = replace(view.sample, scheme=fold_view("W4Ae2m1").sample.scheme)
    assert all(map(torch.equal, channel_limits(X, even), (X.amin(dim=0), X.amax(dim=0))))
