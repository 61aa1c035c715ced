import pytest
import torch

from bitscape.evaluation import precision_recall


def cloud(seed: int, count: int = 80, width: int = 4) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def brute_force(real: torch.Tensor, fake: torch.Tensor, k: int) -> tuple[float, float]:
    def covered(points: torch.Tensor, centres: torch.Tensor) -> float:
        hits = 0
        for point in points:
            for i, centre in enumerate(centres):
                others = sorted(float((centre - c).norm()) for j, c in enumerate(centres) if j != i)
                if float((point - centre).norm()) <= others[k - 1]:
                    hits += 1
                    break
        return hits / len(points)

    return covered(fake, real), covered(real, fake)


@pytest.mark.parametrize("k", [1, 3])
def test_equals_brute_force(k: int) -> None:
    real, fake = cloud(0, 30).double(), cloud(1, 25).double() * 1.5
    assert precision_recall(real, fake, k) == pytest.approx(brute_force(real, fake, k))


def test_a_set_covers_itself() -> None:
    assert precision_recall(cloud(0), cloud(0)) == (1.0, 1.0)


def test_far_sets_do_not_touch() -> None:
    assert precision_recall(cloud(0), cloud(0) + 1000) == (0.0, 0.0)


def test_one_mode_of_two_is_precise_but_covers_half() -> None:
    real = torch.cat([cloud(0), cloud(1) + 1000])
    found = precision_recall(real, cloud(0))
    assert found.precision == 1.0
    assert found.recall == pytest.approx(0.5)


def test_exchanging_the_sets_exchanges_the_numbers() -> None:
    a, b = cloud(0), cloud(1) * 2
    assert precision_recall(a, b) == precision_recall(b, a)[::-1]


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="k = 3 .* got 3"):
        precision_recall(cloud(0), cloud(0, count=3))
