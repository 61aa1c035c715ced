"""Codebooks under metrics: each half of the iteration is the optimum it claims to be."""

import torch
from torch import Tensor

from bitscape.algorithms.codebooks import assign, centres, fit_books, seed


def problem(rows: int = 30, last: int = 21) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors of two bands, the metric of each of three steps, and which rows exist."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, rows, 3, 2, generator=generator, dtype=torch.float64)
    corners = torch.randn(3, 2, 2, generator=generator, dtype=torch.float64).tril()
    corners += 2 * torch.eye(2, dtype=torch.float64)
    real = torch.arange(2 * rows).view(2, rows) < rows + last
    x[~real] = 0
    return x, corners, real


def cost(x: Tensor, corners: Tensor, books: Tensor) -> Tensor:
    """(x - c_k)^T M_s (x - c_k) for every entry k, the plain way."""
    e = x.unsqueeze(-2) - books[:, None, None]
    return torch.einsum("sij,bnskj->bnski", corners, e).square().sum(-1)


def test_padding_takes_no_part_in_seeding() -> None:
    x, _, real = problem()
    padded = seed(x, real, 8)
    for band, rows in ((0, 30), (1, 21)):
        alone = seed(x[band : band + 1, :rows], real[band : band + 1, :rows], 8)
        torch.testing.assert_close(padded[band], alone[0], rtol=0, atol=0)
    assert not torch.equal(seed(x, torch.ones_like(real), 8)[1], padded[1])


def test_seeding_does_not_depend_on_the_axes() -> None:
    x, _, real = problem()
    # Far from a rotation, which would keep plain distances.
    bent = torch.tensor([[5.0, 0.0], [2.0, 0.3]], dtype=x.dtype)
    torch.testing.assert_close(seed(x @ bent, real, 8), seed(x, real, 8) @ bent)


def test_assignment_is_the_nearest_in_the_metric() -> None:
    x, corners, real = problem()
    books = seed(x, real, 8)
    assert torch.equal(assign(x, corners, books), cost(x, corners, books).argmin(-1))


def test_centres_cannot_be_improved() -> None:
    x, corners, real = problem()
    books = seed(x, real, 8)
    chosen = assign(x, corners, books)
    books = centres(x, corners, real, chosen, books).requires_grad_()
    paid = cost(x, corners, books).gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    (paid * real.unsqueeze(-1)).sum().backward()
    assert books.grad is not None
    assert books.grad.abs().max() < 1e-9


def test_entries_without_vectors_stay_where_they_are() -> None:
    x, corners, real = problem()
    books = torch.cat([seed(x, real, 4), torch.full((2, 1, 2), 99.0, dtype=x.dtype)], dim=1)
    moved = centres(x, corners, real, assign(x, corners, books), books)
    assert torch.equal(moved[:, -1], books[:, -1])
    assert not torch.equal(moved[:, 0], books[:, 0])


def test_more_iterations_cost_less() -> None:
    x, corners, real = problem()
    paid = [
        float((cost(x, corners, fit_books(x, corners, real, 8, n)).amin(-1)[real]).sum())
        for n in (1, 2, 4, 50)
    ]
    assert paid == sorted(paid, reverse=True)
    assert paid[-1] < 0.95 * paid[0]


def test_as_many_entries_as_vectors_leave_no_error() -> None:
    x, corners, real = problem(rows=4, last=4)
    books = fit_books(x, corners, real, 12, 5)
    assert float(cost(x, corners, books).amin(-1).max()) < 1e-18


def test_equal_vectors_are_no_trouble() -> None:
    x, corners, real = problem()
    books = fit_books(torch.ones_like(x), corners, real, 4, 3)
    assert torch.isfinite(books).all()
