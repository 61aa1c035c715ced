"""Gain-projected scaling: the maximiser of its gain, by hand and by search."""

import torch

from bitscape.algorithms import (
    error_shares,
    gps_gain_factors,
    output_error,
    predicted_error,
    within_validity,
)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rounded(x: torch.Tensor, step: float) -> torch.Tensor:
    return (x / step).round() * step


def test_shares_are_the_sums_of_the_paper() -> None:
    X, W = drawn(20, 6), drawn(5, 6, seed=1)
    A, B = error_shares(X, rounded(X, 0.3), W, rounded(W, 0.2))
    dX, dW = X - rounded(X, 0.3), W - rounded(W, 0.2)
    for i in range(6):
        brute_a = sum(
            float(dX[n, i] * rounded(W, 0.2)[k, i]) ** 2 for n in range(20) for k in range(5)
        )
        brute_b = sum(float(X[n, i] * dW[k, i]) ** 2 for n in range(20) for k in range(5))
        torch.testing.assert_close(float(A[i]), brute_a, rtol=1e-5, atol=1e-8)
        torch.testing.assert_close(float(B[i]), brute_b, rtol=1e-5, atol=1e-8)


def test_shares_predict_the_error_of_independent_rounding() -> None:
    X, W = drawn(2000, 16), drawn(64, 16, seed=1)
    X_hat, W_hat = rounded(X, 0.1), rounded(W, 0.1)
    A, B = error_shares(X, X_hat, W, W_hat)
    true = output_error(X, X_hat, W, W_hat)
    assert abs(predicted_error(A, B, torch.ones(16)) / true - 1) < 0.1


def test_factors_minimise_the_predicted_error() -> None:
    A, B = drawn(12).exp(), drawn(12, seed=1).exp()
    t = gps_gain_factors(A, B, widest=3)
    assert t[3] == 1.0
    least = predicted_error(A, B, t)
    for nudge in (0.9, 1.1):
        for channel in range(12):
            other = t.clone()
            other[channel] *= nudge
            if channel != 3:
                assert predicted_error(A, B, other) > least
    rest = torch.arange(12) != 3
    after = (t.square() * A + B / t.square())[rest]
    torch.testing.assert_close(after, (2 * (A * B).sqrt())[rest])


def test_gain_is_never_negative() -> None:
    A, B = drawn(40).exp(), drawn(40, seed=1).exp()
    assert predicted_error(A, B, gps_gain_factors(A, B, 0)) <= predicted_error(A, B, torch.ones(40))


def test_degenerate_channels_stay_in_the_gauge() -> None:
    A = torch.tensor([1.0, 0.0, 2.0, 0.0])
    B = torch.tensor([1.0, 3.0, 0.0, 0.0])
    assert torch.equal(gps_gain_factors(A, B, 0), torch.ones(4))


def test_validity_bounds_are_the_ranges_ratios_and_one() -> None:
    spans = torch.tensor([4.0, 2.0, 1.0, 0.0])
    t = within_validity(torch.tensor([1.0, 0.1, 3.0, 0.5]), spans)
    assert torch.equal(t, torch.tensor([1.0, 0.5, 1.0, 0.5]))
