"""The error of an output: that of the two products, digits included."""

import pytest
import torch

from bitscape.algorithms import output_error


def operands() -> tuple[torch.Tensor, ...]:
    drawn = torch.Generator().manual_seed(0)
    X, W = torch.randn(20, 6, generator=drawn), torch.randn(5, 6, generator=drawn)
    X_hat = X + 0.1 * torch.randn(20, 6, generator=drawn)
    return X, X_hat, W, W + 0.1 * torch.randn(5, 6, generator=drawn)


def test_it_is_the_difference_of_the_products() -> None:
    X, X_hat, W, W_hat = operands()
    expected = float((X_hat @ W_hat.T - X @ W.T).square().sum())
    assert output_error(X, X_hat, W, W_hat) == pytest.approx(expected, rel=1e-4)
    expected = float((X @ (W_hat - W).T).square().sum())
    assert output_error(X, X, W, W_hat) == pytest.approx(expected, rel=1e-4)


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    X, X_hat, W, W_hat = operands()
    weights = torch.ones(20)
    weights[3] = 2
    twice = torch.cat([torch.arange(20), torch.tensor([3])])
    found = output_error(X, X_hat, W, W_hat, weights)
    assert found == pytest.approx(output_error(X[twice], X_hat[twice], W, W_hat), rel=1e-5)
    assert found > 1.001 * output_error(X, X_hat, W, W_hat)


def test_errors_far_below_the_outputs_keep_their_digits() -> None:
    X, _, W, _ = operands()
    change = torch.full_like(W, 2.0**-12)
    found = output_error(X, X, W, W + change)
    error = X.double() @ (W + change - W).double().T
    assert found == pytest.approx(float(error.square().sum()), rel=1e-5)
