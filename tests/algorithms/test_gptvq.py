"""GPTVQ: its limits, its update, and the bytes it ends in."""

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.algorithms import (
    FixedGrids,
    VectorTiles,
    gptq,
    gptvq,
    relative_error,
    update_centroids,
)
from bitscape.formats import TensorScheme, parse_scheme, parse_tensor_scheme
from bitscape.quantizers import look_up_weight, minmax, tiles_of


def problem(rows: int = 48, columns: int = 64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(columns, columns, generator=generator)
    X = torch.randn(400, columns, generator=generator) @ mix
    return torch.randn(rows, columns, generator=generator), 2 * X.T @ X / 400


def weight_scheme(text: str) -> TensorScheme:
    scheme = parse_scheme(text).default.weight
    assert scheme is not None
    return scheme


class Uniform(VectorTiles):
    """Codebooks that hold the points of an integer grid of the whole weight."""

    def fit(self, columns: Float[Tensor, "out group"], index: int) -> None:
        bands = -(-len(columns) // self.tile[0])
        points = torch.arange(-8.0, 8.0).view(1, 16, 1) * SCALE
        self.books[index // self.tile[1]] = points.expand(bands, 16, 1)


W, H = problem()
SCALE = W.abs().max() / 7


def test_one_dimension_on_a_uniform_grid_is_gptq() -> None:
    tiles = Uniform((48, 64), parse_tensor_scheme("codebook4x1@t512"))
    ours, _ = gptq(W, H, quantizer=tiles, width=1)
    scheme = parse_tensor_scheme("int4@tensor")
    expected, _ = gptq(W, H, quantizer=FixedGrids.of(W, scheme, minmax))
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(("text", "rival"), [("W2A16,vq2d", "int2"), ("W3A16,vq2d", "int3")])
def test_codebooks_lose_less_than_a_grid_of_as_many_bits(text: str, rival: str) -> None:
    scheme = weight_scheme(text)
    codes, centroids, _ = gptvq(W, H, scheme)
    ours = relative_error(W, look_up_weight(codes, centroids, scheme), H)
    grid = FixedGrids.of(W, parse_tensor_scheme(f"{rival}@channel"), minmax)
    assert ours < relative_error(W, gptq(W, H, quantizer=grid)[0], H)


def test_full_metric_and_sweep_beat_plain_clusters() -> None:
    scheme = weight_scheme("W2A16,vq2d")
    errors = []
    for hessian in (H, torch.eye(64)):
        codes, centroids, _ = gptvq(W, hessian, scheme, updates=0)
        errors.append(relative_error(W, look_up_weight(codes, centroids, scheme), H))
    assert errors[0] < 0.7 * errors[1]


def test_update_reaches_the_least_squares_solution() -> None:
    scheme = weight_scheme("W2A16@g600,vq2d")
    W, H = problem(10, 8)
    W, H = W.double(), H.double()
    codes = torch.randint(16, (10, 4), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    tiles = int(tiles_of((10, 8), scheme).max()) + 1
    found = update_centroids(W, H, codes, W.new_zeros(tiles, 16, 2), scheme, steps=200)

    def error(real: Tensor) -> Tensor:
        W_hat = real[tiles_of((10, 8), scheme), codes.long()].view(10, 8)
        return (((W - W_hat) @ H) * (W - W_hat)).sum()

    found.requires_grad_()
    [slope] = torch.autograd.grad(error(found), found)
    assert slope.abs().max() < 1e-5 * H.abs().max()


def test_more_updates_lose_less() -> None:
    scheme = weight_scheme("W2A16,vq2d")
    errors = []
    for updates in (0, 3, 25):
        codes, centroids, _ = gptvq(W, H, scheme, updates=updates, sweeps=1)
        errors.append(relative_error(W, look_up_weight(codes, centroids, scheme), H))
    assert errors == sorted(errors, reverse=True)


def test_more_sweeps_never_lose_more() -> None:
    scheme = weight_scheme("W3A16,vq2d")
    errors = []
    for sweeps in (1, 2, 4):
        codes, centroids, _ = gptvq(W, H, scheme, sweeps=sweeps)
        errors.append(relative_error(W, look_up_weight(codes, centroids, scheme), H))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0]


@pytest.mark.parametrize("rows", [7, 48, 50])
def test_every_shape_comes_back(rows: int) -> None:
    W, H = problem(rows)
    scheme = weight_scheme("W2A16@g700,vq4d")
    codes, centroids, report = gptvq(W, H, scheme, iterations=3)
    assert codes.shape == (rows, 16)
    assert look_up_weight(codes, centroids, scheme).shape == W.shape
    assert report.attempts == 1


def test_grids_are_refused() -> None:
    with pytest.raises(ValueError, match="has no codebook: write a scheme such as W2A16,vq2d"):
        gptvq(W, H, parse_tensor_scheme("int4@channel"))
