"""The grids that static tables will have, fitted to sampled rows."""

import pytest
import torch
from torch import Tensor

from bitscape.formats import TensorScheme, parse_scheme
from bitscape.passes.static_rows import FITTED, rounded_static
from bitscape.quantizers import fake_quantize, minmax


def scheme() -> TensorScheme:
    found = parse_scheme("W8A8,static").default.activation
    assert found is not None
    return found


def one_by_one(U: Tensor, row_of: Tensor, splits: tuple[int, ...]) -> Tensor:
    result = U.clone()
    for row in row_of.unique().tolist():
        parts = []
        for part in U[row_of == row].split(list(splits), dim=1):
            grid = minmax(part.reshape(1, 1, -1), scheme().format, scheme().symmetric)
            parts.append(fake_quantize(part[None], grid, scheme().format)[0])
        result[row_of == row] = torch.cat(parts, dim=1)
    return result


@pytest.mark.parametrize("splits", [(24,), (8, 16)])
@pytest.mark.parametrize("row_of", [[0] * 12, [0, 1, 2] * 4, [2, 0, 5, 5, 2, 2, 5, 0, 9, 5, 5, 2]])
def test_groups_of_any_sizes_have_the_grids_of_their_own_rows(
    row_of: list[int], splits: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    U, rows = torch.randn(12, 24) * torch.arange(1, 13)[:, None], torch.tensor(row_of)
    found = rounded_static(U, rows, splits, scheme(), minmax)
    assert torch.equal(found, one_by_one(U, rows, splits))


def test_extremes_are_among_the_values_of_a_large_group() -> None:
    torch.manual_seed(0)
    U = torch.randn(64, 2 * FITTED // 64)
    U[17, 3] = 50.0
    found = rounded_static(U, torch.zeros(64).long(), (U.shape[1],), scheme(), minmax)
    assert torch.equal(found, one_by_one(U, torch.zeros(64), (U.shape[1],)))
