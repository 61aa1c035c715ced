import pytest
import torch

from bitscape.formats import Codebook


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
