"""The flat tokenizer against golden tensors of the official code."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from bitscape.models import FAMILIES
from bitscape.models.autoencoder import AutoencoderConfig
from bitscape.models.checkpoint import Layout
from bitscape.models.vq import VQ_LAYOUT, VQConfig, VQTokenizer, vq16

Golden = tuple[dict[str, Tensor], dict[str, Tensor]]
Load = Callable[[nn.Module, Layout, Mapping[str, Tensor]], None]
CONFIG = VQConfig(AutoencoderConfig(32, (1, 2, 2), 2, 32), vocabulary=64)


@pytest.fixture(scope="module")
def expected(golden: Callable[[str], Golden]) -> dict[str, Tensor]:
    return golden("vq")[0]


@pytest.fixture(scope="module")
def tokenizer(golden: Callable[[str], Golden], load_released: Load) -> VQTokenizer:
    result = VQTokenizer(CONFIG).eval()
    load_released(result, VQ_LAYOUT, golden("vq")[1])
    return result


@torch.no_grad()
def test_images_become_the_official_tokens(
    tokenizer: VQTokenizer, expected: dict[str, Tensor]
) -> None:
    tokens = tokenizer.tokens(expected["images"])
    assert torch.equal(tokens, expected["tokens"])
    assert tokens.unique().numel() > 8
    torch.testing.assert_close(tokenizer.lookup(tokens), expected["codes"], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_tokens_become_the_official_images(
    tokenizer: VQTokenizer, expected: dict[str, Tensor]
) -> None:
    codes = tokenizer.lookup(expected["tokens"])
    torch.testing.assert_close(tokenizer.decode(codes), expected["decoded"], rtol=1e-4, atol=1e-5)
    adapter = FAMILIES["llamagen"].tiny().adapter
    pixels = adapter.decode(tokenizer, codes)
    assert (pixels.int() - expected["pixels"].int()).abs().max() <= 1


@torch.no_grad()
def test_each_token_is_the_nearest_code(tokenizer: VQTokenizer) -> None:
    f = torch.randn(2, 8, 3, 3, generator=torch.Generator().manual_seed(1))
    rows = nn.functional.normalize(f, dim=1).permute(0, 2, 3, 1).flatten(0, 2)
    nearest = torch.cdist(rows, tokenizer.codes()).argmin(dim=1)
    assert torch.equal(tokenizer.nearest(nn.functional.normalize(f, dim=1)).flatten(), nearest)


def test_the_released_tokenizer_has_the_published_size() -> None:
    with torch.device("meta"):
        module = VQTokenizer(vq16())
    count = sum(p.numel() for p in module.parameters()) / 1e6
    assert count == pytest.approx(72, rel=0.01)
    assert VQ_LAYOUT.keys(module).keys() == module.state_dict().keys()
