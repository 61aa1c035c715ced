"""SmoothQuant's and AWQ's scales: exact, indifferent to the gauge, finite on dead channels."""

import pytest
import torch

from bitscape.algorithms import awq_scale, column_maxima, smoothquant_scale, unit_gauge


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def official(x_max: torch.Tensor, weights: list[torch.Tensor], alpha: float) -> torch.Tensor:
    """The formula of the official code, written out: floors of 1e-5 under weights and scale."""
    maxima = torch.cat([W.abs().max(dim=0, keepdim=True)[0] for W in weights])
    weight_scales = maxima.max(dim=0)[0].clamp(min=1e-5)
    return (x_max.pow(alpha) / weight_scales.pow(1 - alpha)).clamp(min=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 0.85, 1.0])
def test_smoothquant_equals_the_official_formula(alpha: float) -> None:
    x_max, weights = drawn(16).abs() * 30, [drawn(8, 16, seed=1), drawn(4, 16, seed=2)]
    ours = smoothquant_scale(x_max, column_maxima(weights), alpha)
    assert torch.equal(ours, official(x_max, weights, alpha))


def test_half_gives_input_and_weight_the_same_maximum() -> None:
    X, W = drawn(64, 16) * drawn(16, seed=3).exp(), drawn(8, 16, seed=1)
    s = smoothquant_scale(X.abs().amax(dim=0), column_maxima([W]), 0.5)
    torch.testing.assert_close((X / s).abs().amax(dim=0), (W * s).abs().amax(dim=0))


def test_dead_channels_keep_scale_one() -> None:
    x_max, W = drawn(4).abs(), drawn(3, 4, seed=1)
    x_max[1], W[:, 2] = 0.0, 0.0
    s = smoothquant_scale(x_max, column_maxima([W]), 0.5)
    assert s[1] == s[2] == 1.0
    assert awq_scale(x_max, 0.5).isfinite().all()
    assert awq_scale(x_max, 0.5)[1] == 1.0


def test_alpha_outside_the_unit_interval_is_refused() -> None:
    for rule in (
        lambda: smoothquant_scale(drawn(4), drawn(4), 1.5),
        lambda: awq_scale(drawn(4), -1),
    ):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            rule()


def test_awq_is_normalised_between_its_extremes() -> None:
    s = awq_scale(drawn(32).abs() + 0.1, 0.7)
    torch.testing.assert_close(s.max() * s.min(), torch.tensor(1.0))
    assert torch.equal(awq_scale(drawn(32).abs(), 0.0), torch.ones(32))


def test_gauge_keeps_every_ratio() -> None:
    s = drawn(32).exp()
    torch.testing.assert_close(unit_gauge(s) / unit_gauge(s)[0], s / s[0])
    torch.testing.assert_close(unit_gauge(7 * s), unit_gauge(s))
