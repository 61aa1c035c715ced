"""Which tensors are parts, asked of their type and not of the names of their methods."""

import torch
from torch import Tensor

from bitscape.training.shards import is_sharded, whole


class Named(Tensor):
    """A whole tensor of another kind that happens to have a method of the same name."""

    def full_tensor(self) -> Tensor:
        raise AssertionError("not a part")


def test_a_tensor_is_no_part_by_the_name_of_a_method() -> None:
    tensor = torch.ones(2).as_subclass(Named)
    assert not is_sharded(tensor)
    assert whole(tensor) is tensor


def test_a_plain_tensor_is_whole_and_stays_the_same() -> None:
    tensor = torch.ones(2)
    assert not is_sharded(tensor)
    assert whole(tensor) is tensor
