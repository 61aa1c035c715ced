"""Weight dilation: rows keep their ranges, and the balanced form never loses the smaller reach."""

import torch

from bitscape.algorithms import balanced_dilation_scale, dilation_scale
from bitscape.algorithms.dilation import LARGEST


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_worked_examples() -> None:
    free = torch.tensor([[0.8, -0.2, 0.1, 0.3], [-0.8, 0.2, 0.2, -0.4], [0.9, 0.3, -0.6, 0.15]])
    torch.testing.assert_close(dilation_scale([free]), torch.tensor([1.0, 1.0, 1.0, 2.0]))
    full = torch.tensor([[0.5, -0.2, 0.1, 0.3], [-0.4, 0.1, 0.2, -0.8], [0.25, 0.3, -0.6, 0.15]])
    torch.testing.assert_close(dilation_scale([full]), torch.ones(4))


def test_row_ranges_stay_and_scales_are_at_least_one() -> None:
    weights = [drawn(6, 32, seed=s) * drawn(32, seed=9).exp() for s in (0, 1)]
    s = dilation_scale(weights)
    assert (s >= 1).all()
    assert (s > 1).any()
    for W in weights:
        torch.testing.assert_close((W * s).amax(dim=1), W.amax(dim=1))
        torch.testing.assert_close((W * s).amin(dim=1), W.amin(dim=1))


def test_groups_and_magnitudes_have_rows_of_their_own() -> None:
    W = drawn(6, 32) * drawn(32, seed=9).exp()
    whole, grouped = dilation_scale([W]), dilation_scale([W.view(6, 4, 8)])
    assert (grouped <= whole).all()
    for part, s in zip(W.view(6, 4, 8).unbind(1), grouped.view(4, 8), strict=True):
        torch.testing.assert_close(dilation_scale([part]), s)
        torch.testing.assert_close((part * s).amax(dim=1), part.amax(dim=1))
    wider = dilation_scale([W], magnitudes=True)
    assert (wider >= whole).all()
    torch.testing.assert_close((W * wider).abs().amax(dim=1), W.abs().amax(dim=1))


def test_dead_column_is_bounded() -> None:
    W = drawn(4, 8)
    W[:, 2] = 0.0
    assert dilation_scale([W])[2] == LARGEST
    assert dilation_scale([W]).isfinite().all()


def test_balanced_lies_between_none_and_full_and_keeps_both_ends() -> None:
    W = drawn(6, 32) * drawn(32, seed=9).exp()
    ends = torch.stack([drawn(32, seed=2).abs(), 0.1 * drawn(32, seed=5).abs()])
    full = dilation_scale([W])
    A, B = drawn(32, seed=3).exp(), drawn(32, seed=4).exp()
    s = balanced_dilation_scale(full, ends, A, B)
    assert ((s >= 1) & (s <= full)).all()
    assert ((ends / s).amax(dim=1) <= (ends / full).amax(dim=1) * (1 + 1e-6)).all()
    # The widest channel of one end may shrink less where the other end alone is watched.
    assert (balanced_dilation_scale(full, ends[:1], A, B) <= s).all()
    assert torch.equal(balanced_dilation_scale(full, ends, A * 0, B), full)


def test_balanced_errs_least_where_no_reach_bounds_it() -> None:
    A, B = drawn(32, seed=3).exp().double(), 1e-2 * drawn(32, seed=4).exp().double()
    full = torch.full((32,), 16.0, dtype=torch.float64)
    s = balanced_dilation_scale(full, torch.zeros(1, 32, dtype=torch.float64), A, B)
    assert ((s > 1) & (s < full)).all()

    def error(s: torch.Tensor) -> torch.Tensor:
        return A * (s / full).square() + B * (full / s).square()

    for factor in (0.99, 1.01):
        assert (error(factor * s) > error(s)).all()
