"""Weights learnt in steps: where they start, and what each parameter does to them."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bitscape.formats import parse_tensor_scheme
from bitscape.passes import InSteps, Nearest
from bitscape.quantizers import dequantize_weight

SCHEMES = ["int4@channel", "uint3@channel", "int3@g8", "uint3@s4+12", "e2m1@channel"]
every_scheme = pytest.mark.parametrize("text", SCHEMES)


def matrix() -> Tensor:
    return torch.randn(12, 16, generator=torch.Generator().manual_seed(0))


@every_scheme
def test_a_plain_start_is_rounding_to_nearest(text: str) -> None:
    W, scheme = matrix(), parse_tensor_scheme(text)
    learned, expected = InSteps().start(W, scheme), Nearest("mse")(W, scheme)
    found = learned.rounded(W)
    assert torch.equal(found.codes, expected.codes)
    assert found.report == {"moved": 0.0}
    W_hat = dequantize_weight(found.codes, found.grid, scheme)
    torch.testing.assert_close(learned.weight(W), W_hat)


@every_scheme
def test_a_greedy_start_is_gptq(text: str) -> None:
    W, scheme = matrix(), parse_tensor_scheme(text)
    X = torch.randn(60, 16, generator=torch.Generator().manual_seed(3)).cumsum(dim=1)
    learner = InSteps(greedy=True)
    assert learner.seed is not None
    codes = learner.seed(W, scheme, X.T @ X / 30).codes
    assert not torch.equal(codes, Nearest("mse")(W, scheme).codes)
    found = learner.start(W, scheme, codes).rounded(W)
    assert torch.equal(found.codes, codes)
    assert found.report["moved"] > 0
    assert InSteps().seed is None


def test_a_movement_of_one_is_one_step() -> None:
    W, scheme = matrix() / 4, parse_tensor_scheme("int4@channel")
    learned = InSteps("minmax").start(W, scheme)
    before = learned.weight(W).detach()
    inside = before.abs() < before.abs().amax(dim=1, keepdim=True)
    with torch.no_grad():
        learned.v.fill_(1.0)
    moved = learned.weight(W).detach() - before
    steps = learned.scale.view(-1, 1).expand_as(W)
    torch.testing.assert_close(moved[inside], steps[inside])


@pytest.mark.parametrize("ratio", [0.1, 0.5])
def test_a_step_grows_by_the_exponential_of_its_own_rate(ratio: float) -> None:
    W, scheme = matrix(), parse_tensor_scheme("int4@channel")
    learned = InSteps(rate=0.02, scale_rate=0.02 * ratio).start(W, scheme)
    before = learned.rounded(W).grid.scale
    with torch.no_grad():
        learned.growth.fill_(2.0)
    growth = torch.tensor(2.0 * ratio).exp()
    found = learned.rounded(W)
    torch.testing.assert_close(found.grid.scale, before * growth, rtol=5e-3, atol=0)
    W_hat = dequantize_weight(found.codes, found.grid, scheme)
    torch.testing.assert_close(learned.weight(W).detach(), W_hat)
    gradient = torch.autograd.grad(learned.weight(W).square().sum(), learned.growth)[0]
    assert bool((gradient != 0).all())


def test_rates_that_cannot_work_are_refused() -> None:
    for changed in ({"rate": 0.0}, {"scale_rate": -1.0}):
        with pytest.raises(ValueError, match="positive rate"):
            replace(InSteps(), **changed)
