import pytest
import torch

from bitscape.formats import Codebook


def test_assign_finds_each_centroid_again() -> None:
    fmt = Codebook(2, 2)
    centroids = torch.randn(fmt.entries, 2, generator=torch.Generator().manual_seed(0))
    codes = torch.arange(16).to(torch.uint8).view(4, 4)
    noisy = fmt.look_up(codes, centroids) + 1e-4
    assert torch.equal(fmt.assign(noisy, centroids), codes)


def test_centroids_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(256, 2\)"):
        Codebook(4, 2).look_up(torch.zeros(3, dtype=torch.uint8), torch.zeros(16, 2))


def test_numbers_without_centroids_are_refused() -> None:
    for method in (Codebook(4, 2).round, Codebook(4, 2).decode, Codebook(4, 2).encode):
        with pytest.raises(ValueError, match="no numbers of its own"):
            method(torch.zeros(2, dtype=torch.uint8))
    with pytest.raises(ValueError, match="no numbers of its own"):
        Codebook(4, 2).values()


@pytest.mark.parametrize(("bits", "dim"), [(0, 1), (1, 0), (3, 3), (9, 1)])
def test_codes_beyond_a_byte_are_refused(bits: int, dim: int) -> None:
    with pytest.raises(ValueError, match=f"got {bits} x {dim}"):
        Codebook(bits, dim)
