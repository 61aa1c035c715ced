"""A fold as rules see it: its error is that of the rounded products, each row by its weight."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from bitscape.passes import FoldView, Transform

Make = Callable[..., FoldView]


def behind(view: FoldView) -> Transform:
    """A scale that suits none of the channels."""
    return Transform("some", torch.linspace(0.5, 2.0, view.sample.width))


@pytest.mark.parametrize("scheme", ["W4A4", "W3A4,static", "W4A16"])
def test_the_error_is_that_of_the_rounded_products(scheme: str, fold_view: Make) -> None:
    view = fold_view(scheme)
    transform, X = behind(view), view.sample.rows.X
    U_hat = view.sample.rounded(X / transform.scale)
    wrong, plain = 0.0, 0.0
    for W, (turned, W_hat) in zip(view.weights, view.rounded_weights(transform), strict=True):
        torch.testing.assert_close(turned, W * transform.scale)
        wrong += float((U_hat @ W_hat.T - X @ W.T).square().sum())
        plain += float((X @ W.T).square().sum())
    assert view.plain == pytest.approx(plain, rel=1e-5)
    assert view.error(transform) == pytest.approx(wrong / plain, rel=1e-3)


def test_a_row_of_weight_two_counts_as_two_rows(fold_view: Make) -> None:
    view = fold_view()
    sample, rows = view.sample, view.sample.rows
    weights = torch.ones(24)
    weights[3] = 2
    heavy = replace(view, sample=replace(sample, rows=replace(rows, weights=weights)))
    twice = torch.cat([torch.arange(24), torch.tensor([3])])
    again = replace(rows, X=rows.X[twice], positions=rows.positions[twice], weights=torch.ones(25))
    double = replace(view, sample=replace(sample, rows=again, row_of=sample.row_of[twice]))
    transform = behind(view)
    assert heavy.plain == pytest.approx(double.plain, rel=1e-5)
    assert heavy.plain > 1.001 * view.plain
    errors = [each.error(transform) * each.plain for each in (heavy, double, view)]
    assert errors[0] == pytest.approx(errors[1], rel=1e-5)
    assert errors[0] > 1.001 * errors[2]
    for ours, theirs in zip(heavy.shares(transform), double.shares(transform), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_shares_add_up_over_consumers(fold_view: Make) -> None:
    view = fold_view()
    transform = behind(view)
    single = [
        replace(view, weights=[W], schemes=[scheme]).shares(transform)
        for W, scheme in zip(view.weights, view.schemes, strict=True)
    ]
    for whole, *parts in zip(view.shares(transform), *single, strict=True):
        torch.testing.assert_close(whole, sum(parts))


def test_more_rows_and_outputs_take_longer(fold_view: Make) -> None:
    view = fold_view()
    wide = replace(view, weights=[*view.weights, *view.weights], schemes=[*view.schemes] * 2)
    few = replace(view, sample=view.sample.after(2))
    assert few.seconds < view.seconds < wide.seconds
