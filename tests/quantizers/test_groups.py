import pytest
import torch

from bitscape.formats import Granularity
from bitscape.quantizers import from_groups, group_views, to_groups

SHAPES = {
    Granularity("tensor"): (1, 1, 48),
    Granularity("step"): (1, 1, 48),
    Granularity("channel"): (4, 1, 12),
    Granularity("token"): (4, 12),
    Granularity("group", 3): (4, 4, 3),
    Granularity("group", 12): (4, 1, 12),
    Granularity("split", widths=(7, 5)): (4, 2, 7),
    Granularity("split", widths=(1, 9, 2)): (4, 3, 9),
}


@pytest.mark.parametrize("granularity", SHAPES, ids=str)
def test_groups_share_a_scale_and_go_back(granularity: Granularity) -> None:
    x = torch.arange(48.0).view(4, 12)
    grouped = to_groups(x, granularity)
    assert grouped.shape == SHAPES[granularity]
    assert torch.equal(from_groups(grouped, x.shape, granularity), x)


def test_groups_of_an_activation_keep_its_leading_axes() -> None:
    assert to_groups(torch.zeros(2, 5, 12), Granularity("group", 4)).shape == (2, 5, 3, 4)


def test_a_narrow_split_goes_on_with_its_own_elements() -> None:
    splits = Granularity("split", widths=(4, 1, 2))
    [row] = to_groups(torch.arange(7)[None], splits)
    assert row.tolist() == [[0, 1, 2, 3], [4, 4, 4, 4], [5, 6, 5, 6]]


@pytest.mark.parametrize("granularity", [g for g in SHAPES if g.kind != "token"], ids=str)
def test_views_of_groups_hold_every_element_once(granularity: Granularity) -> None:
    x = torch.arange(48.0).view(4, 12)
    views = group_views(x, granularity)
    held = torch.cat([view.flatten() for view in views])
    assert torch.equal(held.sort().values, x.flatten())
    largest = torch.cat([view.amax(dim=-1) for view in views], dim=-1)
    assert torch.equal(largest, to_groups(x, granularity).amax(dim=-1))


def test_splits_that_do_not_make_up_a_row_are_refused() -> None:
    with pytest.raises(ValueError, match=r"splits of \(7, 4\) do not make up a width of 12"):
        to_groups(torch.zeros(4, 12), Granularity("split", widths=(7, 4)))


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="groups of 5 do not divide a width of 12: .*4, 6"):
        to_groups(torch.zeros(4, 12), Granularity("group", 5))
