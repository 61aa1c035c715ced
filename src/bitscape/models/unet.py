"""U-Nets of diffusion: what the library needs to know of them, and the released sizes.

Ho et al., "Denoising Diffusion Probabilistic Models", arXiv 2006.11239 (CIFAR-10, sampled by DDIM);
Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", arXiv 2112.10752
(ImageNet, LSUN bedrooms and churches, Stable Diffusion).
"""

from torch import Tensor, nn

from bitscape.models.autoencoder import AutoencoderConfig, LatentTokenizer, to_uint8
from bitscape.models.denoising import Denoising
from bitscape.models.diffusion import Diffusion
from bitscape.models.family import Family
from bitscape.models.first_stage import FIRST_STAGE_LAYOUTS, KL_F8, VQ_F4
from bitscape.models.kl import KLTokenizer
from bitscape.models.multiscale import MultiScaleConfig, MultiScaleTokenizer
from bitscape.models.pixels import PixelConfig, PixelTokenizer
from bitscape.models.prompts import PromptConfig, PromptTokenizer
from bitscape.models.unet_graph import unet_blocks, unet_folds, unet_sites
from bitscape.models.unet_keys import UNET_LAYOUTS
from bitscape.models.unet_network import UNet, UNetConfig
from bitscape.models.vq import VQTokenizer
from bitscape.structure import Block, Fold, Site


class UNetAdapter(Denoising):
    """What the library needs to know of U-Nets."""

    family = "unet"

    def __init__(self, config: UNetConfig, tokenizer: nn.Module) -> None:
        super().__init__(
            config,
            num_classes=config.num_classes,
            shape=(config.channels, config.sample_size, config.sample_size),
            steps=config.steps,
            diffusion=config.diffusion,
        )
        # A trajectory encodes its prompts once, before the first call.
        self.reader = tokenizer if isinstance(tokenizer, PromptTokenizer) else None

    def sites(self, network: nn.Module) -> list[Site]:
        """Convolutions and linears of every block, attention products, time embedding, ends."""
        return unet_sites(_backbone(network))

    def folds(self, network: nn.Module) -> list[Fold]:
        """Norms into linears, values into the output, the value half of a gated layer."""
        return unet_folds(_backbone(network))

    def blocks(self, network: nn.Module) -> list[Block]:
        """Residual blocks, attentions and resamplers: a graph, because of the skips."""
        return unet_blocks(_backbone(network))

    def conditioning(self, conditions: Tensor) -> tuple[Tensor, ...]:
        """Labels, or encoded prompts; nothing for an unconditional model."""
        if self.config.condition == "none":
            return ()
        return (conditions if self.reader is None else self.reader.encode(conditions),)

    def without(self, conditions: Tensor) -> Tensor:
        """The class after the last one, or the empty prompt."""
        if self.config.condition == "none":
            raise ValueError("an unconditional model has nothing to be guided by: drop `guidance`")
        if self.reader is not None:
            return self.reader.read([""]).to(conditions.device).expand(len(conditions), -1)
        return super().without(conditions)

    def decode(self, tokenizer: nn.Module, latents: Tensor) -> Tensor:
        """uint8 images, truncated as latent diffusion's scripts do, if not told."""
        assert isinstance(tokenizer, LatentTokenizer)
        return to_uint8(tokenizer.from_latents(latents), rounded=tokenizer.rounded or False)


def _backbone(network: nn.Module) -> nn.Module:
    assert isinstance(network, UNet)
    return network.backbone


def _latent_diffusion(first: float, last: float) -> Diffusion:
    """The schedule and timesteps of the released latent diffusion models."""
    return Diffusion(
        first=first,
        last=last,
        schedule="scaled_linear",
        spacing="leading",
        offset=1,
        to_clean=False,
    )


SIZES = {
    "ldm4-imagenet": UNetConfig(
        sample_size=64,
        channels=3,
        block_out_channels=(192, 384, 576, 960),
        attention=(False, True, True, True),
        condition="class",
        num_classes=1000,
        cross_attention_dim=512,
        num_heads=1,
        diffusion=_latent_diffusion(0.0015, 0.0195),
        steps=20,
    ),
    "ldm4-bedrooms": UNetConfig(
        sample_size=64,
        channels=3,
        block_out_channels=(224, 448, 672, 896),
        attention=(False, True, True, True),
        attention_head_dim=32,
        diffusion=_latent_diffusion(0.0015, 0.0195),
        steps=200,
    ),
    "ldm8-churches": UNetConfig(
        sample_size=32,
        channels=4,
        block_out_channels=(192, 384, 384, 768, 768),
        attention=(True, True, True, True, False),
        num_heads=8,
        resnet_time_scale_shift="scale_shift",
        resample="resnet",
        diffusion=_latent_diffusion(0.0015, 0.0155),
        steps=500,
    ),
    "sd-1.4": UNetConfig(
        sample_size=64,
        channels=4,
        block_out_channels=(320, 640, 1280, 1280),
        attention=(True, True, True, False),
        condition="prompt",
        num_classes=0,
        cross_attention_dim=768,
        num_heads=8,
        diffusion=_latent_diffusion(0.00085, 0.012),
        steps=50,
    ),
    "cifar10": UNetConfig(
        sample_size=32,
        channels=3,
        block_out_channels=(128, 256, 256, 256),
        attention=(False, True, False, False),
        downsample_padding=0,
        norm_eps=1e-6,
        flip_sin_to_cos=False,
        freq_shift=1,
        diffusion=Diffusion(spacing="quadratic"),
        steps=100,
    ),
}
"""Steps, and below eta and guidance, are those that quantization papers report."""

TINY = UNetConfig(
    sample_size=4,
    channels=8,
    block_out_channels=(8, 8),
    attention=(False, False),
    layers_per_block=1,
    condition="class",
    num_classes=10,
    cross_attention_dim=8,
    num_heads=2,
    norm_num_groups=4,
    diffusion=_latent_diffusion(0.0015, 0.0195),
    steps=5,
)


def _tokenizer(config: UNetConfig) -> nn.Module:
    """Pixels stay as they are; three latent channels are VQ-f4's, four are KL-f8's."""
    if config.condition == "prompt":
        return PromptTokenizer(PromptConfig())
    if config.sample_size == 32 and config.channels == 3:
        return PixelTokenizer(PixelConfig())
    return VQTokenizer(VQ_F4) if config.channels == 3 else KLTokenizer(KL_F8)


def _tiny_tokenizer(config: UNetConfig) -> MultiScaleTokenizer:
    autoencoder = AutoencoderConfig(8, (1, 2, 2), 1, config.channels, 4)
    # Only the continuous path of this tokenizer is used, so its one code is never looked up.
    return MultiScaleTokenizer(MultiScaleConfig(autoencoder, 1, (config.sample_size,)))


UNET_FAMILY = Family(
    name="unet",
    style="diffusion",
    sizes=SIZES,
    tiny_config=TINY,
    tiny_tokenizer=_tiny_tokenizer,
    config=UNetConfig,
    network=UNet,
    adapter=UNetAdapter,
    tokenizer=_tokenizer,
    sampler={"guidance": 1.0},
    samplers={
        "ldm4-imagenet": {"guidance": 3.0},
        "ldm4-bedrooms": {"eta": 1.0},
        "sd-1.4": {"guidance": 7.5, "solver": "PNDMScheduler"},
    },
    layouts=UNET_LAYOUTS,
    tokenizer_layouts=FIRST_STAGE_LAYOUTS,
    extra="diffusers",
    parameters={
        "ldm4-imagenet": 401_433_091,
        "ldm4-bedrooms": 274_056_163,
        "ldm8-churches": 294_966_916,
        "sd-1.4": 859_520_964,
        "cifar10": 35_746_307,
    },
)
