"""Optimizers: which parameters each takes, and which of them decay."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from bitscape.training import adamw, muon


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 2), nn.Flatten(), nn.Linear(12, 4), nn.LayerNorm(4))


def test_muon_and_adamw_share_the_parameters_between_them() -> None:
    module = network()
    matrices = [p for p in module.parameters() if p.ndim == 2]
    optimizers = muon(module, matrices, 1e-3)
    held = [p for o in optimizers for g in o.param_groups for p in g["params"]]
    assert {id(p) for p in held} == {id(p) for p in module.parameters()}
    assert len(held) == len(list(module.parameters()))


@pytest.mark.parametrize("with_muon", [False, True], ids=["adamw", "muon"])
def test_matrices_and_kernels_decay_and_vectors_do_not(with_muon: bool) -> None:
    module = network()
    for p in module.parameters():
        p.grad = torch.zeros_like(p)
    before = [p.detach().clone() for p in module.parameters()]
    rate, decay = 0.1, 0.5
    matrices = [p for p in module.parameters() if p.ndim == 2]
    chosen = muon(module, matrices, rate, decay) if with_muon else adamw(module, rate, decay)
    for optimizer in chosen:
        optimizer.step()
    for p, start in zip(module.parameters(), before, strict=True):
        # Without a gradient only decay moves a parameter.
        kept = 1 - rate * decay if p.ndim > 1 else 1.0
        torch.testing.assert_close(p.detach(), kept * start)


def test_frozen_parameters_have_no_optimizer() -> None:
    module = network().requires_grad_(False)
    module[2].requires_grad_(True)
    [optimizer] = adamw(module, 1e-3)
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert held == [id(p) for p in module[2].parameters()]


def test_muon_trains_a_kernel_as_its_matrix() -> None:
    x = torch.randn(8, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    conv, linear = nn.Conv2d(3, 6, 2, bias=False), nn.Linear(12, 6, bias=False)
    linear.load_state_dict({"weight": conv.weight.detach().flatten(1)})
    windows = functional.unfold(x, 2).transpose(1, 2)
    for module, given in ((conv, x), (linear, windows)):
        [optimizer, _] = muon(module, [module.weight], 1e-2)
        for _ in range(3):
            optimizer.zero_grad()
            module(given).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(conv.weight.flatten(1), linear.weight, rtol=1e-4, atol=1e-5)
