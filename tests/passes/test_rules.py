"""Rules: each proposes exactly what its formula says of a fold."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bitscape.passes import Dilate, FoldView, MeanSmooth, Rotate, Smooth

Make = Callable[..., FoldView]


def in_unit_gauge(scale: Tensor) -> Tensor:
    """`scale` with a geometric mean of one."""
    return scale / scale.log().mean().exp()


@pytest.mark.parametrize("alpha", [0.25, 0.75])
def test_smoothing_shares_the_maxima_out(alpha: float, fold_view: Make) -> None:
    view = fold_view()
    [found] = Smooth((alpha,))(view)
    x_max = view.sample.rows.X.abs().amax(dim=0)
    w_max = torch.cat(list(view.weights)).abs().amax(dim=0)
    torch.testing.assert_close(found.scale, in_unit_gauge(x_max**alpha / w_max ** (1 - alpha)))
    assert found.shift is None
    assert found.order == 0


@pytest.mark.parametrize("alpha", [0.25, 0.75])
def test_awq_goes_by_the_means(alpha: float, fold_view: Make) -> None:
    view = fold_view()
    [found] = MeanSmooth((alpha,))(view)
    scale = view.sample.rows.X.abs().mean(dim=0) ** alpha
    torch.testing.assert_close(found.scale, scale / (scale.max() * scale.min()).sqrt())


def test_signs_are_drawn_by_the_seed(fold_view: Make) -> None:
    [first], [again], [other] = (list(Rotate()(fold_view(seed=seed))) for seed in (1, 1, 2))
    assert set(first.signs.tolist()) == {-1.0, 1.0}
    assert torch.equal(first.signs, again.signs)
    assert not torch.equal(first.signs, other.signs)


def test_rotations_stay_within_the_run_of_a_head(fold_view: Make) -> None:
    [whole], [head] = (list(Rotate()(fold_view(run=run))) for run in (0, 4))
    assert (whole.order, head.order) == (8, 4)
    turned = head.inputs(torch.eye(8))
    assert turned[:4, 4:].abs().max() == turned[4:, :4].abs().max() == 0
    torch.testing.assert_close(turned @ turned.T, torch.eye(8))
    assert list(Rotate()(fold_view(rotatable=False))) == []


def test_a_rotation_stands_behind_the_smoothing_of_its_alpha(fold_view: Make) -> None:
    view = fold_view()
    [smooth], (plain, balanced) = Smooth((0.5,))(view), Rotate((None, 0.5))(view)
    assert plain.scale is None
    assert torch.equal(balanced.scale, smooth.scale)
    assert torch.equal(balanced.signs, plain.signs)


@pytest.mark.parametrize("published", [False, True])
def test_dilation_grows_each_channel_as_far_as_all_rows_allow(
    published: bool, fold_view: Make
) -> None:
    view = fold_view()
    [found] = Dilate(balanced=False, published=published)(view)
    W = torch.cat(list(view.weights))
    if published:
        ends = torch.where(W > 0, W.amax(dim=1, keepdim=True), W.amin(dim=1, keepdim=True))
        expected = (ends / W).amin(dim=0)
    else:
        expected = (W.abs().amax(dim=1, keepdim=True) / W.abs()).amin(dim=0)
    torch.testing.assert_close(found.scale, expected)
    assert bool((found.scale > 1).any())


def test_balanced_dilation_needs_inputs_that_are_rounded(fold_view: Make) -> None:
    view = fold_view("W4A16")
    assert list(Dilate()(view)) == []
    assert len(list(Dilate(balanced=False)(view))) == 1
    view = fold_view()
    [full], [balanced] = Dilate(balanced=False)(view), Dilate()(view)
    assert bool((balanced.scale >= 1).all())
    assert bool((balanced.scale <= full.scale).all())
    # Inputs that are a thousand times as fine have no error to weigh against that of the weights.
    fine = replace(view, sample=replace(view.sample, scheme=fold_view("W4A8,static").sample.scheme))
    [nearly] = Dilate()(fine)
    assert bool((nearly.scale >= balanced.scale).all())
