"""The flat codebook: its parts are optimal for what they are fitted to."""

import pytest
import torch
from torch import nn

from bitscape.zoo import autoencoder, raster


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_k_means_finds_separate_clusters() -> None:
    centres = 10 * drawn(6, 4)
    rows = (centres[:, None] + 0.1 * drawn(6, 50, 4)).flatten(0, 1)
    means = raster.k_means(rows, 12, 10)
    assert torch.cdist(centres, means).amin(dim=1).max() < 0.3


def test_each_mean_is_that_of_its_rows() -> None:
    rows = drawn(400, 3)
    means = raster.k_means(rows, 8, 60)
    nearest = torch.cdist(rows, means).argmin(dim=1)
    for code in range(8):
        torch.testing.assert_close(means[code], rows[nearest == code].mean(0))


def test_a_convolution_is_recovered_from_its_outputs() -> None:
    torch.manual_seed(0)
    true, fitted = nn.Conv2d(3, 2, 3, padding=1), nn.Conv2d(3, 2, 3, padding=1)
    inputs = drawn(6, 3, 8, 8)
    with torch.no_grad():
        raster.fit_convolution(fitted, inputs, true(inputs))
    torch.testing.assert_close(fitted.weight, true.weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fitted.bias, true.bias, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_fitted_tokenizer_sees_turned_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster, "VOCABULARY", 16)
    torch.manual_seed(0)
    shared = autoencoder.build().eval()
    images = drawn(8, 3, 32, 32).clamp(-1, 1)
    f = shared.features(images)
    tokenizer, turn = raster.fit(shared, f, rounds=3)
    torch.testing.assert_close(turn, turn.T)
    expected = raster.turned(turn, f)
    error = (tokenizer.features(images) - expected).abs().max() / expected.abs().max()
    assert error < 0.05  # the weights are rounded to bf16
    assert tokenizer.decode(tokenizer.lookup(tokenizer.tokens(images))).shape == images.shape
