"""Low-rank branches: the nearest matrix of a rank, and a residual that rounds better."""

import torch
from torch import Tensor

from bitscape.algorithms.lowrank import residual_branch, truncated_svd


def matrix() -> Tensor:
    return torch.randn(12, 9, generator=torch.Generator().manual_seed(0))


def test_full_rank_leaves_nothing_but_the_rounding_of_factors() -> None:
    W = matrix()
    up, down = truncated_svd(W, 9)
    assert (W - up @ down).abs().max() < 0.05
    assert torch.equal(up, up.bfloat16().float())


def test_error_is_the_tail_of_the_singular_values() -> None:
    W = matrix()
    up, down = truncated_svd(W, 4)
    tail = torch.linalg.svdvals(W)[4:].square().sum()
    torch.testing.assert_close((W - up @ down).square().sum(), tail, rtol=1e-3, atol=0)


def test_the_best_round_is_kept() -> None:
    W = matrix()

    def error(E: Tensor) -> float:
        return float(E.square().sum())

    (up, down), errors = residual_branch(W, 3, torch.round, error, 6)
    residual = W - up @ down
    assert error(residual - residual.round()) == min(errors)
    assert len(errors) == 6
    first, _ = residual_branch(W, 3, torch.round, error, 1)
    assert torch.equal(first[0], truncated_svd(W, 3)[0])
