"""Centroids: what is stored of them, and which tile a weight reads."""

import pytest
import torch

from bitscape.formats import Codebook, parse_scheme
from bitscape.quantizers import Centroids, look_up_weight, minmax, round_centroids, tiles_of
from bitscape.quantizers import weight_grid as grid_of_weight


def scheme(text: str = "W2A16@g60,vq2d"):
    found = parse_scheme(text).default.weight
    assert found is not None
    return found


def test_stored_centroids_lie_within_half_a_step() -> None:
    real = torch.randn(5, 16, 2, generator=torch.Generator().manual_seed(0))
    stored = round_centroids(real)
    assert (stored.real() - real).abs().max() <= 0.51 * float(stored.scale.max())
    assert torch.equal(round_centroids(stored.real()).values, stored.values)
    assert torch.equal(stored.scale, stored.scale.half().float())


def test_codebook_of_zeros_stays_zero() -> None:
    assert not round_centroids(torch.zeros(1, 4, 2)).real().any()


def test_weight_is_looked_up_in_its_own_tile() -> None:
    shape, text = (10, 24), scheme()
    tall, wide = text.format.tile(shape, 60)
    tiles = tiles_of(shape, text)
    count = int(tiles.max()) + 1
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(16, (10, 12), generator=generator).to(torch.uint8)
    values = torch.randint(-127, 128, (count, 16, 2), generator=generator).to(torch.int8)
    centroids = Centroids(values, torch.rand(count, generator=generator) + 0.5)
    W = look_up_weight(codes, centroids, text)
    for r, c in ((0, 0), (9, 23), (4, 11), (5, 12)):
        tile = (r // tall) * (24 // wide) + c // wide
        entry = int(codes[r, c // 2])
        assert W[r, c] == values[tile, entry, c % 2] * centroids.scale[tile]


@pytest.mark.parametrize(("columns", "wide"), [(48, 48), (256, 256), (384, 192), (1152, 192)])
def test_tiles_divide_the_width_and_split_rows_evenly(columns: int, wide: int) -> None:
    tall, found = Codebook(2, 2).tile((300, columns), 2048)
    assert found == wide
    bands = -(-300 // tall)
    assert 0.5 < 300 * wide / bands / 2048 < 2
    assert bands * tall - 300 < bands


def test_vectors_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="vectors of 4 do not divide a width of 18"):
        Codebook(2, 4).tile((8, 18), 64)
    with pytest.raises(ValueError, match="choose the method gptvq"):
        grid_of_weight(torch.ones(2, 4), scheme(), minmax)
