"""Attention and its cache."""

import pytest
import torch

from bitscape.structure import Attend, Cache, merge_heads


def heads(tokens: int, seed: int) -> torch.Tensor:
    return torch.randn(2, 3, tokens, 4, generator=torch.Generator().manual_seed(seed))


def test_cached_steps_equal_one_masked_pass() -> None:
    q, k, v = (heads(6, seed) for seed in range(3))
    attend, cache = Attend(), Cache(6)
    parts = [
        attend(q[:, :, a:b], k[:, :, a:b], v[:, :, a:b], scale=0.5, cache=cache)
        for a, b in ((0, 1), (1, 3), (3, 6))
    ]
    level = torch.tensor([0, 1, 1, 2, 2, 2])
    mask = torch.zeros(6, 6).masked_fill(level[:, None] < level[None, :], -torch.inf)
    whole = attend(q, k, v, scale=0.5, mask=mask)
    torch.testing.assert_close(torch.cat(parts, dim=2), whole)


def test_attention_equals_its_formula() -> None:
    q, k, v = (heads(5, seed) for seed in range(3))
    expected = (0.7 * q @ k.transpose(2, 3)).softmax(dim=3) @ v
    torch.testing.assert_close(Attend()(q, k, v, scale=0.7), expected)


def test_an_overfull_cache_is_refused() -> None:
    cache = Cache(3)
    cache.append(heads(2, 0), heads(2, 1))
    with pytest.raises(ValueError, match="holds 3 tokens and was given 4"):
        cache.append(heads(2, 0), heads(2, 1))


def test_heads_merge_side_by_side() -> None:
    x = heads(5, 0)
    merged = merge_heads(x)
    assert merged.shape == (2, 5, 12)
    torch.testing.assert_close(merged[:, :, 4:8], x[:, 1])
