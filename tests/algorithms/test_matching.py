"""Matched weights: least squares from drifted inputs to the outputs of true ones."""

import torch
from torch import Tensor

from bitscape.algorithms import matched_bias, matched_weight


def moments(u: Tensor, v: Tensor, *, centred: bool) -> tuple[Tensor, Tensor]:
    """H and D of true inputs `u` and drifted ones `v`, from their definition."""
    if centred:
        u, v = u - u.mean(0), v - v.mean(0)
    return v.T @ v / len(v), (u - v).T @ v / len(v)


def drifted(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """A weight, its true inputs, and inputs that rounding earlier layers might have left."""
    drawn = torch.Generator().manual_seed(seed)
    mixing, error = (torch.randn(12, 12, generator=drawn, dtype=torch.float64) for _ in range(2))
    u = torch.randn(400, 12, generator=drawn, dtype=torch.float64) @ mixing + 3
    noise = torch.randn(400, 12, generator=drawn, dtype=torch.float64)
    W = torch.randn(5, 12, generator=drawn, dtype=torch.float64)
    return W, u, u + 0.2 * (u @ error) + 0.3 * noise + 0.5


def test_without_drift_the_weight_stays_to_the_bit() -> None:
    W, u, _ = drifted()
    assert torch.equal(matched_weight(W, *moments(u, u, centred=True), 0.1), W)


def test_without_damping_it_is_the_least_squares_solution() -> None:
    W, u, v = drifted()
    best = torch.linalg.lstsq(v, u @ W.T).solution.T
    found = matched_weight(W, *moments(u, v, centred=False), 0.0)
    torch.testing.assert_close(found, best)


def test_it_minimises_the_damped_error() -> None:
    W, u, v = drifted()
    (H, D), damping = moments(u, v, centred=False), 0.1
    V = matched_weight(W, H, D, damping).requires_grad_()
    pull = damping * H.diagonal().mean()
    error = (v @ V.T - u @ W.T).square().sum() / len(u) + pull * (V - W).square().sum()
    (gradient,) = torch.autograd.grad(error, V)
    assert gradient.abs().max() < 1e-10 * error.detach()


def test_rounding_it_costs_what_its_own_inputs_say() -> None:
    W, u, v = drifted()
    H, D = moments(u, v, centred=False)
    V = matched_weight(W, H, D, 0.0)
    rounded = (V * 4).round() / 4
    least, lost = ((v @ X.T - u @ W.T).square().sum() / len(u) for X in (V, rounded))
    step = rounded - V
    torch.testing.assert_close(lost - least, ((step @ H) * step).sum())


def test_the_bias_keeps_the_mean_output() -> None:
    W, u, v = drifted()
    bias = torch.arange(5.0, dtype=torch.float64)
    rounded = matched_weight(W, *moments(u, v, centred=True), 0.1).round()
    moved = matched_bias(bias, W, u.mean(0), rounded, v.mean(0))
    torch.testing.assert_close((v @ rounded.T + moved).mean(0), (u @ W.T + bias).mean(0))


def test_dead_inputs_leave_a_finite_weight() -> None:
    W, u, v = drifted()
    u[:, 3], v[:, 3] = 0, 0
    assert matched_weight(W, *moments(u, v, centred=True), 0.05).isfinite().all()
    nothing = moments(torch.zeros_like(u), torch.zeros_like(v), centred=True)
    assert torch.equal(matched_weight(W, *nothing, 0.05), W)
