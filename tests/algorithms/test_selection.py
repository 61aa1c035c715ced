"""Selection by distribution: it really selects where the published form cannot."""

import torch

from bitscape.algorithms import farthest, herded, mahalanobis, shrunk_covariance


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_plain_distance_is_one_number_and_the_shrunk_one_is_not() -> None:
    F = drawn(16, 64)
    X = (F - F.mean(dim=0)).double()
    plain = ((X @ torch.linalg.pinv(X.T @ X / 15)) * X).sum(dim=1).sqrt()
    torch.testing.assert_close(plain, torch.full_like(plain, 15 / 16**0.5))
    rho = mahalanobis(F)
    assert float(rho.std() / rho.mean()) > 0.01


def test_many_samples_recover_the_plain_covariance() -> None:
    F = drawn(20000, 6) * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    torch.testing.assert_close(shrunk_covariance(F), F.double().T.cov(), rtol=0.01, atol=0.2)


def test_shrunk_covariance_is_that_of_the_lemma_written_out() -> None:
    F = drawn(12, 5) * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    X = (F - F.mean(dim=0)).double()
    S = X.T @ X / 12
    mean = S.trace() / 5 * torch.eye(5, dtype=torch.float64)
    noise = sum((x[:, None] * x[None] - S).square().sum() for x in X) / 12**2
    share = (noise / (S - mean).square().sum()).clamp(max=1.0)
    torch.testing.assert_close(shrunk_covariance(F), (1 - share) * S + share * mean)


def test_equal_samples_are_no_obstacle() -> None:
    F = torch.ones(6, 4)
    assert mahalanobis(F).isfinite().all()
    assert len(farthest(F, 3)) == len(herded(F, 3).unique()) == 3


def test_farthest_finds_the_outliers() -> None:
    F = drawn(40, 8)
    F[[3, 17]] *= 20
    assert farthest(F, 2).tolist() == [3, 17]


def test_herded_covers_every_cluster() -> None:
    centres = 10 * torch.eye(4)
    F = centres.repeat_interleave(8, dim=0) + 0.1 * drawn(32, 4)
    assert sorted((herded(F, 4) // 8).tolist()) == [0, 1, 2, 3]
    half = herded(F, 16)
    assert len(half.unique()) == 16
    torch.testing.assert_close(F[half].mean(dim=0), F.mean(dim=0), rtol=0.1, atol=0.1)
