import pytest
import torch

from bitscape.nn import (
    hadamard_matrix,
    hadamard_transform,
    inverse_hadamard_transform,
    largest_order,
)
from bitscape.nn.hadamard import signed_rotation

ORDERS = [1, 2, 4, 12, 20, 24, 28, 36, 40, 44, 60, 64, 76, 128, 144, 192, 1152, 2048]


@pytest.mark.parametrize("order", ORDERS)
def test_rows_are_orthogonal(order: int) -> None:
    matrix = hadamard_matrix(order)
    assert bool((matrix.abs() == 1).all())
    assert torch.equal(matrix @ matrix.T, order * torch.eye(order))


@pytest.mark.parametrize("order", ORDERS)
def test_transform_multiplies_by_the_matrix(order: int) -> None:
    x = torch.randn(3, 2 * order, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = x.view(3, 2, order) @ hadamard_matrix(order).double() / order**0.5
    y = hadamard_transform(x, order)
    torch.testing.assert_close(y.view(3, 2, order), expected)
    torch.testing.assert_close(inverse_hadamard_transform(y, order), x)


def test_matrix_is_a_fresh_copy() -> None:
    hadamard_matrix(12).zero_()
    assert bool((hadamard_matrix(12) != 0).all())


@pytest.mark.parametrize(("order", "width"), [(0, 8), (3, 9), (52, 104), (16, 24)])
def test_impossible_order_is_refused(order: int, width: int) -> None:
    with pytest.raises(ValueError, match=r"rder"):
        hadamard_transform(torch.zeros(1, width), order)


def test_largest_order_is_the_width_wherever_one_is_known() -> None:
    assert [largest_order(w) for w in (1, 2, 16, 48, 64, 96, 1152, 1024)] == [
        1,
        2,
        16,
        48,
        64,
        96,
        1152,
        1024,
    ]
    assert largest_order(23) == 1
    assert largest_order(92) == 4


def test_a_signed_rotation_is_that_of_signed_channels() -> None:
    drawn = torch.Generator().manual_seed(0)
    x = torch.randn(3, 24, generator=drawn, dtype=torch.float64)
    signs = (1.0 - 2.0 * torch.randint(2, (24,), generator=drawn)).double()
    R = torch.diag(signs) @ torch.kron(torch.eye(2), hadamard_matrix(12)).double() / 12**0.5
    torch.testing.assert_close(signed_rotation(x, 12, signs), x @ R)
    assert signed_rotation(x, 0, signs) is x
