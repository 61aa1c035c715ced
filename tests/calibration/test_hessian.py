"""The Hessian accumulated in panels is that of all rows at once."""

import pytest
import torch

from bitscape.calibration import Hessian
from bitscape.calibration.hessian import PANEL
from bitscape.structure import constant_step


@pytest.mark.parametrize("width", [3, PANEL, PANEL + 5])
def test_pieces_add_up_to_the_whole(width: int) -> None:
    X = torch.randn(40, width, generator=torch.Generator().manual_seed(0))
    hessian = Hessian(width)
    for part in X.split([1, 0, 27, 12]):
        hessian.update(part[None], constant_step(0))
    expected = 2 * X.double().T @ X.double() / 40
    torch.testing.assert_close(hessian.matrix().double(), expected, rtol=1e-5, atol=1e-5)
    assert hessian.rows == 40


def test_reading_the_matrix_does_not_disturb_the_sum() -> None:
    X = torch.randn(2, 10, 6, generator=torch.Generator().manual_seed(0))
    hessian = Hessian(6)
    hessian.update(X[:1], constant_step(0))
    hessian.matrix()
    hessian.update(X[1:], constant_step(0))
    rows = X.flatten(0, 1)
    torch.testing.assert_close(hessian.matrix(), 2 * rows.T @ rows / 20)
