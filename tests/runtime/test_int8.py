"""The columns by which a product subtracts the zero point of each row."""

import pytest
import torch

from bitscape.runtime.int8 import columns_of


@pytest.mark.parametrize("largest", [0, 1, 126, 127, 128, 5000, 127 * 1024])
def test_columns_add_up_to_the_sums_and_stay_in_int8(largest: int) -> None:
    generator = torch.Generator().manual_seed(largest)
    sums = torch.randint(-largest, largest + 1, (64,), generator=generator)
    sums[0], sums[1] = largest, -largest
    columns = columns_of(sums, 16)
    assert columns.dtype == torch.int8
    assert torch.equal(columns.sum(dim=1, dtype=torch.int64), sums)
    assert columns.shape[1] % 16 == 0
    assert int(columns.to(torch.int16).abs().max()) <= 127


def test_no_more_columns_are_used_than_the_largest_sum_needs() -> None:
    assert columns_of(torch.tensor([127 * 16]), 16).shape == (1, 16)
    assert columns_of(torch.tensor([127 * 16 + 1]), 16).shape == (1, 32)
