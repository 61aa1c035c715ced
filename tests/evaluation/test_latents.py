import pytest
import torch

from bitscape.evaluation import LatentScale, frechet_distance, statistics


def latents(seed: int) -> torch.Tensor:
    return torch.randn(50, 3, 4, 4, generator=torch.Generator().manual_seed(seed))


def distance(real: torch.Tensor, fake: torch.Tensor) -> float:
    scale = LatentScale.of(real)
    return frechet_distance(statistics(scale.features(real)), statistics(scale.features(fake)))


def test_distance_ignores_how_a_family_scales_its_latents() -> None:
    gain = torch.tensor([0.1, 3.0, 50.0])[:, None, None]
    real, fake = latents(0), 1.3 * latents(1)
    assert distance(gain * real + 5, gain * fake + 5) == pytest.approx(
        distance(real, fake), rel=1e-3
    )


def test_real_latents_are_standardised() -> None:
    real = 4 * latents(0) + 2
    features = LatentScale.of(real).features(real)
    assert features.shape == (50, 6)
    assert features[:, :3].mean(0).abs().max() < 1e-6


def test_a_constant_channel_is_harmless() -> None:
    real = latents(0)
    real[:, 1] = 3
    assert torch.isfinite(LatentScale.of(real).features(real)).all()


@pytest.mark.parametrize(
    "wrong", [torch.zeros(2, 3, 4), torch.zeros(2, 3, 4, 4, dtype=torch.int64)], ids=["3d", "int"]
)
def test_other_latents_are_refused(wrong: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="real maps"):
        LatentScale.of(latents(0)).features(wrong)
