"""Guidance and the choice of tokens."""

import torch

from bitscape.models.sampling import guide, pick_tokens


def test_guidance_extrapolates_from_unconditional_to_conditional() -> None:
    conditional, unconditional = torch.tensor([[3.0]]), torch.tensor([[1.0]])
    both = torch.cat([conditional, unconditional])
    assert guide(both, 0.0).item() == 3
    assert guide(both, 1.5).item() == 2.5 * 3 - 1.5 * 1


def test_top_k_keeps_the_likeliest_codes() -> None:
    logits = torch.arange(10.0).expand(500, 1, 10)
    noise = torch.randn(500, 1, 10, generator=torch.Generator().manual_seed(0)) * 100
    assert set(pick_tokens(logits, noise, top_k=3).flatten().tolist()) == {7, 8, 9}


def test_top_p_keeps_the_smallest_set_with_that_mass() -> None:
    probability = torch.tensor([0.5, 0.3, 0.15, 0.05])
    logits = probability.log().expand(500, 1, 4)
    noise = torch.randn(500, 1, 4, generator=torch.Generator().manual_seed(0)) * 100
    assert set(pick_tokens(logits, noise, top_p=0.7).flatten().tolist()) == {0, 1}


def test_without_noise_the_likeliest_code_wins() -> None:
    logits = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pick_tokens(logits, torch.zeros(4, 5, 6)), logits.argmax(dim=2))
