import pytest
import torch

from bitscape.formats import Granularity
from bitscape.quantizers import from_groups, to_groups

SHAPES = {
    Granularity("tensor"): (1, 1, 48),
    Granularity("step"): (1, 1, 48),
    Granularity("channel"): (4, 1, 12),
    Granularity("token"): (4, 12),
    Granularity("group", 3): (4, 4, 3),
    Granularity("group", 12): (4, 1, 12),
}


@pytest.mark.parametrize("granularity", SHAPES, ids=str)
def test_groups_share_a_scale_and_go_back(granularity: Granularity) -> None:
    x = torch.arange(48.0).view(4, 12)
    grouped = to_groups(x, granularity)
    assert grouped.shape == SHAPES[granularity]
    assert torch.equal(from_groups(grouped, x.shape), x)


def test_groups_of_an_activation_keep_its_leading_axes() -> None:
    assert to_groups(torch.zeros(2, 5, 12), Granularity("group", 4)).shape == (2, 5, 3, 4)


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="groups of 5 do not divide a width of 12: .*4, 6"):
        to_groups(torch.zeros(4, 12), Granularity("group", 5))
