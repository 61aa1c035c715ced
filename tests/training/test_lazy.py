"""Adam for tables: that of torch where every entry is read, nothing where one is not."""

import torch
from torch import nn

from bitscape.training import LazyAdam


def test_with_every_entry_read_it_is_adam() -> None:
    ours, theirs = (nn.Parameter(torch.arange(6.0).view(3, 2)) for _ in range(2))
    lazy, adam = LazyAdam([ours], lr=0.1), torch.optim.Adam([theirs], lr=0.1)
    drawn = torch.Generator().manual_seed(0)
    for _ in range(5):
        gradient = torch.randn(3, 2, generator=drawn)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        lazy.step()
        adam.step()
        torch.testing.assert_close(ours.data, theirs.data)


def test_an_entry_waits_with_its_momentum() -> None:
    """Steps that do not read an entry are to it as if they had not been."""
    both, alone = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    lazy, single = LazyAdam([both], lr=0.1), LazyAdam([alone], lr=0.1)
    for first, second in ((1.0, 0.0), (0.0, 2.0), (0.0, -1.0), (3.0, 0.0), (0.0, 1.0)):
        before = both.detach().clone()
        both.grad = torch.tensor([first, second])
        lazy.step()
        assert torch.equal(both.detach() == before, both.grad == 0)
        if first:
            alone.grad = torch.tensor([first])
            single.step()
    assert torch.equal(both[:1], alone)
