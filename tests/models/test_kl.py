"""The KL autoencoder: equal to diffusers', readable under every published naming."""

from dataclasses import replace

import pytest
import torch

from bitscape.models.autoencoder import AutoencoderConfig, to_uint8
from bitscape.models.autoencoder_keys import DIFFUSERS, LDM, Naming
from bitscape.models.checkpoint import gather
from bitscape.models.kl import KL_LAYOUTS, SD_VAE, KLConfig, KLTokenizer, kl_keys
from bitscape.models.tokenizers import build_tokenizer, describe_tokenizer

MIDDLE_ONLY = AutoencoderConfig(8, (1, 2), 1, 4, 4, attention=(), double_z=True)
EVERY_LEVEL = AutoencoderConfig(8, (1, 2, 2), 2, 4, 4, attention=(0, 1, 2), double_z=True)


def tokenizer(config: AutoencoderConfig, seed: int = 0) -> KLTokenizer:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return KLTokenizer(KLConfig(config, 0.2, 0.1)).eval()


def images(side: int = 16) -> torch.Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize(
    "config",
    [MIDDLE_ONLY, EVERY_LEVEL, replace(EVERY_LEVEL, decoder_attention=())],
    ids=["middle", "every level", "every level of the encoder"],
)
@torch.no_grad()
def test_equals_the_autoencoder_of_diffusers(config: AutoencoderConfig) -> None:
    diffusers = pytest.importorskip("diffusers")
    ours, levels = tokenizer(config), len(config.multipliers)
    down = "AttnDownEncoderBlock2D" if any(config.encoder_attends) else "DownEncoderBlock2D"
    up = "AttnUpDecoderBlock2D" if any(config.decoder_attends) else "UpDecoderBlock2D"
    theirs = diffusers.AutoencoderKL(
        down_block_types=(down,) * levels,
        up_block_types=(up,) * levels,
        block_out_channels=config.widths,
        layers_per_block=config.residual_blocks,
        latent_channels=config.latent_channels,
        norm_num_groups=config.norm_groups,
        sample_size=16,
    ).eval()
    for block in [*theirs.encoder.down_blocks, *theirs.decoder.up_blocks]:
        for attention in getattr(block, "attentions", []):
            # The released networks attend with one head; this class would choose eight channels.
            attention.heads, attention.scale = 1, attention.inner_dim**-0.5
    keys, state = kl_keys(DIFFUSERS, ours), theirs.state_dict()
    assert {key for source in keys.values() for key in source.keys} == state.keys()
    ours.load_state_dict(dict(gather(keys, state.__getitem__)))
    posterior = theirs.encode(images()).latent_dist
    torch.testing.assert_close(ours.moments(images())[0], posterior.mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.moments(images())[1], posterior.logvar, rtol=1e-5, atol=1e-5)
    decoded = theirs.decode(posterior.mean).sample
    torch.testing.assert_close(ours.decode(posterior.mean), decoded, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_latents_are_scaled_means_and_back() -> None:
    ours = tokenizer(MIDDLE_ONLY)
    mean, _ = ours.moments(images())
    torch.testing.assert_close(ours.latents(images()), (mean - 0.1) * 0.2)
    torch.testing.assert_close(ours.from_latents(ours.latents(images())), ours.decode(mean))


def test_original_names_are_those_of_the_release() -> None:
    keys = kl_keys(LDM, KLTokenizer(SD_VAE), prefix="first_stage_model.")
    found = {key for source in keys.values() for key in source.keys}
    assert len(found) == 248
    assert keys["encoder.levels.1.0.shortcut.weight"].keys == (
        "first_stage_model.encoder.down.1.block.0.nin_shortcut.weight",
    )
    # Their decoder counts levels from the finest, ours from the coarsest.
    assert keys["decoder.upsamples.0.conv.bias"].keys == (
        "first_stage_model.decoder.up.3.upsample.conv.bias",
    )
    assert keys["decoder.middle.1.qkv.weight"].keys == tuple(
        f"first_stage_model.decoder.mid.attn_1.{part}.weight" for part in "qkv"
    )


@pytest.mark.parametrize("layout", KL_LAYOUTS, ids=lambda layout: layout.name)
def test_every_tensor_has_a_source_of_its_own(layout) -> None:  # type: ignore[no-untyped-def]
    ours = tokenizer(EVERY_LEVEL)
    keys = layout.keys(ours)
    assert keys.keys() == ours.state_dict().keys()
    read = [key for source in keys.values() for key in source.keys]
    assert len(set(read)) == len(read)


@pytest.mark.parametrize("naming", [LDM, DIFFUSERS], ids=["convolutions", "linear layers"])
def test_projections_may_be_convolutions_or_linear(naming: Naming) -> None:
    source = kl_keys(naming, tokenizer(MIDDLE_ONLY))["encoder.middle.1.qkv.weight"]
    linear = [torch.randn(16, 16) for _ in range(3)]
    assert torch.equal(source.join(*linear)[:, :, 0, 0], torch.cat(linear))
    convolutions = [rows[:, :, None, None] for rows in linear]
    assert torch.equal(source.join(*convolutions), source.join(*linear))


def test_a_description_rebuilds_it() -> None:
    ours = tokenizer(EVERY_LEVEL)
    assert build_tokenizer(describe_tokenizer(ours)).config == ours.config


def test_without_log_variances_it_is_refused() -> None:
    with pytest.raises(ValueError, match="set double_z"):
        KLTokenizer(KLConfig(AutoencoderConfig()))


def test_rounded_pixels_are_those_of_the_released_scripts() -> None:
    x = torch.linspace(-1.1, 1.1, 1000).view(1, 1, 10, 100).expand(1, 3, 10, 100)
    expected = torch.clamp(127.5 * x + 128.0, 0, 255).permute(0, 2, 3, 1).to(torch.uint8)
    difference = to_uint8(x, rounded=True).int() - expected.int()
    # 127.5 x + 128 and 127.5 (x + 1) + 0.5 differ in the last bit of a float.
    assert difference.abs().max() <= 1
    assert (difference != 0).float().mean() < 0.01
