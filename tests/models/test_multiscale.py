"""The multi-scale tokenizer."""

import numpy as np
import pytest
import torch

from bitscape.models import FAMILIES, MultiScaleTokenizer
from bitscape.models.multiscale import MultiScaleQuantizer


@pytest.fixture
def tokenizer() -> MultiScaleTokenizer:
    result = FAMILIES["var"].tiny().tokenizer
    assert isinstance(result, MultiScaleTokenizer)
    return result


def images(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


@torch.no_grad()
def test_tokens_rebuild_the_map_the_encoder_saw(tokenizer: MultiScaleTokenizer) -> None:
    quantizer = tokenizer.quantizer
    tokens, maps = quantizer.encode(tokenizer.features(images(3)))
    rebuilt = sum(quantizer.residual(scale, index) for scale, index in enumerate(tokens))
    torch.testing.assert_close(rebuilt, maps[-1])


@torch.no_grad()
def test_teacher_inputs_are_the_shrunk_partial_maps(tokenizer: MultiScaleTokenizer) -> None:
    quantizer = tokenizer.quantizer
    tokens, maps = quantizer.encode(tokenizer.features(images(3)))
    expected = [quantizer.shrink(m, scale + 1) for scale, m in enumerate(maps[:-1])]
    torch.testing.assert_close(quantizer.teacher_inputs(tokens), torch.cat(expected, dim=1))


@torch.no_grad()
def test_each_token_is_the_nearest_code(tokenizer: MultiScaleTokenizer) -> None:
    f = torch.randn(50, 8, generator=torch.Generator().manual_seed(1))
    codes = tokenizer.quantizer.embedding.weight
    expected = torch.cdist(f, codes).argmin(dim=1)
    assert torch.equal(tokenizer.quantizer.nearest(f), expected)


@pytest.mark.parametrize("scales", [5, 10, 14])
def test_phi_ticks_follow_the_released_spacing(scales: int) -> None:
    quantizer = MultiScaleQuantizer(8, 4, range(1, scales + 1), phis=4)
    chosen = [list(quantizer.phis).index(quantizer.phi(scale)) for scale in range(scales)]
    ticks = np.linspace(1 / 12, 11 / 12, 4)
    expected = [int(np.abs(ticks - scale / (scales - 1)).argmin()) for scale in range(scales)]
    assert chosen == expected


@torch.no_grad()
def test_latents_are_standardised_and_back(tokenizer: MultiScaleTokenizer) -> None:
    tokenizer.latent_shift.uniform_(-1, 1)
    tokenizer.latent_scale.uniform_(0.5, 2)
    x = images(2)
    expected = tokenizer.decode(tokenizer.features(x))
    torch.testing.assert_close(tokenizer.from_latents(tokenizer.latents(x)), expected)
