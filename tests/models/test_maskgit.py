"""The MaskGIT-VQGAN tokenizer against golden tensors of the official code."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from bitscape.models.checkpoint import Layout
from bitscape.models.maskgit import MASKGIT_LAYOUT, MaskGITConfig, MaskGITTokenizer

Golden = tuple[dict[str, Tensor], dict[str, Tensor]]
Load = Callable[[nn.Module, Layout, Mapping[str, Tensor]], None]


@torch.no_grad()
def test_images_tokens_and_back_are_those_of_the_official_code(
    golden: Callable[[str], Golden], load_released: Load
) -> None:
    expected, state = golden("maskgit")
    tokenizer = MaskGITTokenizer(MaskGITConfig(32, (1, 2, 2), 1, 8, 32))
    load_released(tokenizer, MASKGIT_LAYOUT, state)
    latents = tokenizer.encoder(expected["images"])
    torch.testing.assert_close(latents, expected["latents"], rtol=1e-5, atol=1e-5)
    # Ours takes images in [-1, 1], as every tokenizer here does.
    assert torch.equal(tokenizer.tokens(expected["images"] * 2 - 1), expected["tokens"])
    decoded = tokenizer.decode(tokenizer.quantize.lookup(expected["tokens"]))
    torch.testing.assert_close(decoded, expected["decoded"], rtol=1e-5, atol=1e-5)


def test_the_released_size_has_the_released_tensors() -> None:
    with torch.device("meta"):
        state = MaskGITTokenizer(MaskGITConfig()).state_dict()
    assert len(state) == 168
    assert sum(tensor.numel() for tensor in state.values()) == 54_515_587
    assert state["quantize.embedding.weight"].shape == (1024, 256)
    assert state["encoder.down.2.block.0.nin_shortcut.weight"].shape == (256, 256, 1, 1)
    assert state["decoder.up.4.upsample_conv.bias"].shape == (512,)


@torch.no_grad()
def test_the_tokens_of_a_latent_map_are_its_nearest_codes() -> None:
    codebook = MaskGITTokenizer(MaskGITConfig(8, (1, 2), 1, 8, 32, 4)).quantize
    tokens = torch.randint(32, (2, 16), generator=torch.Generator().manual_seed(0))
    assert torch.equal(codebook.nearest(codebook.lookup(tokens)), tokens)
    z = torch.randn(2, 8, 3, 3, generator=torch.Generator().manual_seed(1))
    expected = torch.cdist(z.flatten(2).transpose(1, 2), codebook.embedding.weight).argmin(dim=2)
    assert torch.equal(codebook.nearest(z), expected)
