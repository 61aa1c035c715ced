import pytest
import torch

from bitscape.formats import Int
from bitscape.quantizers import fake_quantize, rows_of, step_grid

ROW_MAP = torch.tensor([0, 0, 1, 1, 2])
SCALE = torch.tensor([[1.0], [0.5], [0.25]])


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (1, 4), (3, 4)], ids=str)
def test_every_position_reads_its_own_row(shape: tuple[int, int]) -> None:
    index = torch.randint(5, shape, generator=torch.Generator().manual_seed(0))
    grid = step_grid(SCALE, None, rows_of(index, ROW_MAP))
    assert grid.scale.shape == (*shape, 1)
    for b in range(shape[0]):
        for t in range(shape[1]):
            assert float(grid.scale[b, t]) == float(SCALE[ROW_MAP[index[b, t]], 0])


def test_one_row_is_a_static_range() -> None:
    x = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(0))
    rows = rows_of(torch.arange(4).view(1, 4), torch.zeros(4, dtype=torch.int64))
    grid = step_grid(torch.tensor([[0.1]]), torch.tensor([[3.0]]), rows)
    fmt = Int(4, signed=False)
    expected = ((x / 0.1 + 3).round().clamp(0, 15) - 3) * 0.1
    torch.testing.assert_close(fake_quantize(x, grid, fmt), expected)


def test_splits_have_their_own_scales() -> None:
    table = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    grid = step_grid(table, table * 0 + 1, torch.tensor([[0], [1]]), splits=(3, 2))
    assert grid.scale.tolist() == [[[1, 1, 1, 2, 2]], [[3, 3, 3, 4, 4]]]
    assert grid.zero is not None
    assert grid.zero.shape == (2, 1, 5)


def test_columns_without_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 columns"):
        step_grid(torch.ones(3, 2), None, torch.zeros(1, 1, dtype=torch.int64))
