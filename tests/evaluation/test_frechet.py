import numpy as np
import pytest
import scipy.linalg
import torch

from bitscape.evaluation import Statistics, frechet_distance, statistics


def gaussian(seed: int, width: int = 6, samples: int = 200) -> Statistics:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=generator)
    return statistics(torch.randn(samples, width, generator=generator) @ mix + seed)


def test_distance_to_itself_is_zero() -> None:
    a = gaussian(0)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_distance_is_symmetric() -> None:
    a, b = gaussian(0), gaussian(1)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-10)


def test_distance_equals_the_general_matrix_square_root() -> None:
    a, b = gaussian(2), gaussian(3)
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance)
    expected = np.sum((a.mean - b.mean) ** 2) + np.trace(
        a.covariance + b.covariance - 2 * np.real(root)
    )
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


def test_distance_of_diagonal_gaussians_is_the_sum_over_axes() -> None:
    a = Statistics(np.array([0.0, 1.0]), np.diag([4.0, 9.0]), 10)
    b = Statistics(np.array([3.0, 1.0]), np.diag([1.0, 16.0]), 10)
    assert frechet_distance(a, b) == pytest.approx(9 + (2 - 1) ** 2 + (3 - 4) ** 2)


def test_fewer_samples_than_features_stay_real_and_finite() -> None:
    a, b = gaussian(4, width=30, samples=8), gaussian(5, width=30, samples=8)
    assert np.isfinite(frechet_distance(a, b))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6 * np.trace(a.covariance))


def test_one_feature_gives_a_matrix() -> None:
    a = statistics(torch.tensor([[0.0], [2.0]]))
    assert a.covariance.shape == (1, 1)
    assert a.covariance[0, 0] == 2


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (torch.zeros(1, 3), "at least 2 samples, got 1"),
        (torch.full((4, 3), torch.nan), "NaN"),
    ],
    ids=["one sample", "nan"],
)
def test_bad_features_are_refused(features: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        statistics(features)


def test_different_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="width 6 and 5"):
        frechet_distance(gaussian(0), gaussian(0, width=5))
