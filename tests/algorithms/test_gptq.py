"""GPTQ against the paper's own loop, its limits, and what it must report."""

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.algorithms import FittedGroups, FixedGrids, gptq, relative_error
from bitscape.formats import parse_scheme
from bitscape.quantizers import dequantize_weight, minmax, quantize_weight, weight_grid

SCHEMES = [
    "W4A16",
    "W3A16,asym",
    "W4A16@g16",
    "W3A16@g16,asym",
    "We2m1A16",
    "WternaryA16",
    "MXFP4A16",
]


def layer(out: int = 48, width: int = 64, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A weight and the Hessian of strongly correlated inputs."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=generator)
    X = torch.randn(512, width, generator=generator) @ (mix * torch.logspace(0, -2, width)[:, None])
    return torch.randn(out, width, generator=generator), 2 * X.T @ X / len(X)


def weight_scheme(text: str):
    scheme = parse_scheme(text).default.weight
    assert scheme is not None
    return scheme


def paper(
    W: Tensor, H: Tensor, quantizer: FixedGrids | FittedGroups, damping: float = 0.01
) -> Tensor:
    """Algorithm 1 of the paper, column by column in float64: errors spread by rows of U."""
    W, H = W.double().clone(), H.double().clone()
    H += damping * H.diagonal().mean() * torch.eye(len(H), dtype=torch.float64)
    U = torch.linalg.cholesky(torch.linalg.inv(H), upper=True)
    result = torch.zeros_like(W)
    for q in range(len(H)):
        if quantizer.group is not None and q % quantizer.group == 0:
            quantizer.fit(W[:, q : q + quantizer.group].float(), q)
        result[:, q] = quantizer.round(W[:, q : q + 1].float(), q)[:, 0].double()
        W[:, q:] -= (W[:, q : q + 1] - result[:, q : q + 1]) / U[q, q] * U[q, q:]
    return result


@pytest.mark.parametrize("block", [1, 16, 40, 128])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_equals_the_loop_of_the_paper(scheme: str, block: int) -> None:
    W, H = layer()
    fixed = FixedGrids.of(W, weight_scheme(scheme), minmax)
    ours, _ = gptq(W, H.double(), quantizer=fixed, block=block)
    torch.testing.assert_close(ours, paper(W, H, fixed), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("block", [8, 24, 128])
@pytest.mark.parametrize("scheme", ["W4A16@g16", "W3A16@g32,asym", "MXFP4A16"])
def test_groups_are_fitted_on_the_corrected_weights_of_the_paper(scheme: str, block: int) -> None:
    W, H = layer()
    ours = FittedGroups(weight_scheme(scheme), minmax)
    theirs = FittedGroups(weight_scheme(scheme), minmax)
    W_hat, _ = gptq(W, H.double(), quantizer=ours, block=block)
    torch.testing.assert_close(W_hat, paper(W, H, theirs), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.grid().scale, theirs.grid().scale, rtol=1e-4, atol=0)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("act_order", [False, True], ids=["in order", "act-order"])
def test_beats_rounding_to_nearest_on_correlated_inputs(scheme: str, act_order: bool) -> None:
    W, H = layer()
    fixed = FixedGrids.of(W, weight_scheme(scheme), minmax)
    nearest = torch.cat([fixed.round(W[:, q : q + 1], q) for q in range(W.shape[1])], dim=1)
    W_hat, _ = gptq(W, H, quantizer=fixed, act_order=act_order)
    assert relative_error(W, W_hat, H) < 0.8 * relative_error(W, nearest, H)


@pytest.mark.parametrize("act_order", [False, True], ids=["in order", "act-order"])
def test_uncorrelated_inputs_leave_rounding_to_nearest(act_order: bool) -> None:
    W, _ = layer()
    scheme = weight_scheme("W4A16")
    fixed = FixedGrids.of(W, scheme, minmax)
    W_hat, _ = gptq(W, torch.rand(64).diag() + torch.eye(64), quantizer=fixed, act_order=act_order)
    grid = weight_grid(W, scheme, minmax)
    nearest = dequantize_weight(quantize_weight(W, grid, scheme), grid, scheme)
    torch.testing.assert_close(W_hat, nearest, rtol=0, atol=0)


def test_act_order_is_plain_gptq_on_permuted_columns() -> None:
    W, H = layer()
    order = H.diagonal().argsort(descending=True, stable=True)
    scheme = weight_scheme("W4A16")
    W_hat, _ = gptq(W, H, quantizer=FixedGrids.of(W, scheme, minmax), act_order=True)
    permuted = FixedGrids.of(W[:, order], scheme, minmax)
    expected, _ = gptq(W[:, order], H[order][:, order], quantizer=permuted)
    torch.testing.assert_close(W_hat[:, order], expected, rtol=0, atol=0)


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("act_order", [False, True], ids=["in order", "act-order"])
def test_reported_loss_is_the_loss_of_the_damped_hessian(width: int, act_order: bool) -> None:
    W, H = layer()
    H = H.double()
    fixed = FixedGrids.of(W, weight_scheme("W3A16"), minmax)
    W_hat, report = gptq(W, H, quantizer=fixed, width=width, act_order=act_order)
    damped = H + 0.01 * H.diagonal().mean() * torch.eye(64, dtype=H.dtype)
    error = W.double() - W_hat
    assert report.loss == pytest.approx(float(((error @ damped) * error).sum()), rel=1e-6)
    assert (report.damping, report.attempts, report.dead) == (0.01, 1, 0)


def test_wide_steps_correct_a_whole_step_at_once() -> None:
    W, H = layer()
    H = H.double() + 0.01 * H.diagonal().mean() * torch.eye(64)
    fixed = FixedGrids.of(W, weight_scheme("W3A16"), minmax)
    ours, report = gptq(W, H, quantizer=fixed, width=4, damping=0.0)
    assert report.damping == 0.0
    plain = W.double().clone()
    expected = torch.zeros_like(plain)
    for q in range(0, 64, 4):
        step, rest = slice(q, q + 4), slice(q + 4, None)
        expected[:, step] = fixed.round(plain[:, step].float(), q).double()
        # The optimal correction of all later columns, from the Hessian itself.
        error = plain[:, step] - expected[:, step]
        plain[:, rest] += error @ torch.linalg.solve(H[rest, rest], H[rest, step]).T
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


def test_heavy_damping_leaves_rounding_to_nearest() -> None:
    W, H = layer()
    fixed = FixedGrids.of(W, weight_scheme("W4A16"), minmax)
    W_hat, _ = gptq(W, H, quantizer=fixed, damping=1e9)
    torch.testing.assert_close(W_hat, fixed.round(W, 0), rtol=0, atol=0)


@pytest.mark.parametrize("act_order", [False, True], ids=["in order", "act-order"])
def test_dead_columns_become_zero_and_are_reported(act_order: bool) -> None:
    W, H = layer()
    H[5], H[:, 5] = 0, 0
    fixed = FixedGrids.of(W, weight_scheme("W4A16"), minmax)
    W_hat, report = gptq(W, H, quantizer=fixed, act_order=act_order)
    assert report.dead == 1
    assert torch.isfinite(W_hat).all()
    alive = W_hat.any(dim=0)
    assert (~alive).nonzero().tolist() == [[5]]


def test_failed_factorisation_is_repaired_by_damping_and_reported() -> None:
    W, _ = layer()
    generator = torch.Generator().manual_seed(1)
    X = torch.randn(8, 64, generator=generator)
    fixed = FixedGrids.of(W, weight_scheme("W4A16"), minmax)
    H = X.T @ X - 1e-3 * torch.eye(64)
    W_hat, report = gptq(W, H, quantizer=fixed, damping=0.0)
    assert report.attempts > 1
    assert report.damping > 0
    assert relative_error(W, W_hat, H) < relative_error(W, fixed.round(W, 0), H)


def test_hessian_beyond_repair_is_an_error() -> None:
    W, H = layer()
    H[0, 0] = -1e9
    with pytest.raises(ValueError, match="not positive definite"):
        gptq(W, H, quantizer=FixedGrids.of(W, weight_scheme("W4A16"), minmax))


def test_the_inputs_are_left_alone() -> None:
    W, H = layer()
    copies = W.clone(), H.clone()
    gptq(W, H, quantizer=FixedGrids.of(W, weight_scheme("W4A16"), minmax), act_order=True)
    assert torch.equal(W, copies[0])
    assert torch.equal(H, copies[1])


def test_bad_input_names_the_trouble() -> None:
    W, H = layer()
    fixed = FixedGrids.of(W, weight_scheme("W4A16"), minmax)
    broken: Float[Tensor, "out in"] = W.clone()
    broken[3, 3] = torch.nan
    with pytest.raises(ValueError, match="weight holds NaN"):
        gptq(broken, H, quantizer=fixed)
    with pytest.raises(ValueError, match="Hessian holds NaN"):
        gptq(W, H * torch.nan, quantizer=fixed)
    with pytest.raises(ValueError, match="do not divide"):
        gptq(W, H, quantizer=fixed, width=3)
    fitted = FittedGroups(weight_scheme("W4A16@g16"), minmax)
    with pytest.raises(ValueError, match="static_groups"):
        gptq(W, H, quantizer=fitted, act_order=True)


def test_relative_error_is_that_of_the_outputs() -> None:
    W, _ = layer()
    X = torch.randn(100, 64, generator=torch.Generator().manual_seed(2))
    W_hat = W + 0.1
    expected = (X @ (W - W_hat).T).square().sum() / (X @ W.T).square().sum()
    assert relative_error(W, W_hat, X.T @ X) == pytest.approx(float(expected), rel=1e-4)
