"""The KL-regularised autoencoder of latent diffusion: images to Gaussian latents and back.

Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", arXiv 2112.10752,
appendix G. Released files: Stable Diffusion's `sd-vae-ft-ema` and `sd-vae-ft-mse` (f = 8, the
tokenizer of DiT), `kl16.ckpt` of MAR (f = 16), and the first stages of latent diffusion, alone or
inside a whole checkpoint under `first_stage_model.`.
"""

from dataclasses import dataclass
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from bitscape.models.autoencoder import AutoencoderConfig, Decoder, Encoder
from bitscape.models.autoencoder_keys import (
    DIFFUSERS,
    DIFFUSERS_BEFORE_0_15,
    LDM,
    Naming,
    autoencoder_keys,
)
from bitscape.models.checkpoint import KeyMap, Layout, Source

Map = Float[Tensor, "batch _ _ _"]

FIRST_STAGE = "first_stage_model."


@dataclass(frozen=True)
class KLConfig:
    """An autoencoder (with `double_z`) and the affine map to what the diffusion model sees.

    latent = (mean - shift) scale; latent diffusion has a scale alone, one over the standard
    deviation of the latents.
    """

    autoencoder: AutoencoderConfig
    scale: float = 1.0
    shift: float = 0.0


SD_VAE = KLConfig(
    AutoencoderConfig(128, (1, 2, 4, 4), 2, latent_channels=4, attention=(), double_z=True),
    scale=0.18215,
)
"""Stable Diffusion's: f = 8, four channels, attention in the middle alone."""


KL16 = KLConfig(
    AutoencoderConfig(
        128, (1, 1, 2, 2, 4), 2, latent_channels=16, double_z=True, decoder_attention=()
    ),
    scale=0.2325,
)
"""MAR's: f = 16, sixteen channels, attention at the coarsest level of the encoder alone."""


class KLTokenizer(nn.Module):
    """Encoder, decoder and the 1x1 convolutions on either side of the latent."""

    rounded: bool | None = None

    def __init__(self, config: KLConfig) -> None:
        super().__init__()
        if not config.autoencoder.double_z:
            raise ValueError("a KL autoencoder emits means and log variances: set double_z")
        self.config = config
        channels = config.autoencoder.latent_channels
        self.encoder = Encoder(config.autoencoder)
        self.decoder = Decoder(config.autoencoder)
        self.quant_conv = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.post_quant_conv = nn.Conv2d(channels, channels, 1)

    def moments(self, images: Map) -> tuple[Map, Map]:
        """Mean and log variance of the latent posterior, for images in [-1, 1].

        The log variance is bounded to [-30, 20], as in the released code.
        """
        mean, log_variance = self.quant_conv(self.encoder(images)).chunk(2, dim=1)
        return mean, log_variance.clamp(-30, 20)

    def latents(self, images: Map) -> Map:
        """The scaled mean of the posterior."""
        return (self.moments(images)[0] - self.config.shift) * self.config.scale

    def from_latents(self, latents: Map) -> Map:
        """Images in about [-1, 1] from scaled latents."""
        return self.decode(latents / self.config.scale + self.config.shift)

    def decode(self, z: Map) -> Map:
        """Images in about [-1, 1] from unscaled latents."""
        result: Tensor = self.decoder(self.post_quant_conv(z))
        return result


def kl_keys(naming: Naming, module: nn.Module, prefix: str = "") -> KeyMap:
    """The key map of a `KLTokenizer` in a release that names the autoencoder by `naming`."""
    assert isinstance(module, KLTokenizer)
    outside = ("quant_conv.", "post_quant_conv.")
    rest = [name for name in module.state_dict() if name.startswith(outside)]
    alone = {name: Source((prefix + name,)) for name in rest}
    return {**autoencoder_keys(module, module.config.autoencoder, naming, prefix), **alone}


KL_LAYOUTS = (
    Layout("diffusers", partial(kl_keys, DIFFUSERS), ("vae",)),
    Layout("diffusers before 0.15", partial(kl_keys, DIFFUSERS_BEFORE_0_15), ("vae",)),
    Layout(
        "latent diffusion first stage",
        partial(kl_keys, LDM),
        ("state_dict", "model"),
        ignored=lambda key: key.startswith("loss."),
    ),
    Layout(
        "latent diffusion",
        partial(kl_keys, LDM, prefix=FIRST_STAGE),
        ("state_dict",),
        ignored=lambda key: (
            not key.startswith(FIRST_STAGE) or key.startswith(f"{FIRST_STAGE}loss.")
        ),
    ),
)
"""The ways in which KL autoencoders are published."""
