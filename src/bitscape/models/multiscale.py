"""VAR's tokenizer: a VQGAN autoencoder with a multi-scale residual codebook.

Tian et al., "Visual Autoregressive Modeling: Scalable Image Generation via Next-Scale Prediction",
arXiv 2404.02905, algorithms 1 and 2. The latent map is coded coarse to fine: at each scale the
remainder is averaged down to pn x pn, every cell takes its nearest code, the codes are upsampled,
passed through a small convolution phi and subtracted from the remainder.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bitscape.models.autoencoder import AutoencoderConfig, Decoder, Encoder
from bitscape.models.autoencoder_keys import LDM_FUSED, autoencoder_keys
from bitscape.models.checkpoint import KeyMap, Layout, Source

# Functions change the other sizes (scales differ in theirs), so only the batch has a name.
Map = Float[Tensor, "batch _ _ _"]
Tokens = Int[Tensor, "batch _"]


class Phi(nn.Conv2d):
    """(1 - ratio) h + ratio conv(h): repairs what bicubic upsampling lost."""

    def __init__(self, channels: int, ratio: float) -> None:
        super().__init__(channels, channels, 3, padding=1)
        self.ratio = ratio

    def forward(self, h: Map) -> Map:
        return torch.lerp(h, super().forward(h), self.ratio)


class MultiScaleQuantizer(nn.Module):
    """The residual codebook shared by all scales, with `phis` convolutions spread over them."""

    def __init__(
        self,
        vocabulary: int,
        channels: int,
        patch_nums: Sequence[int],
        phis: int = 4,
        ratio: float = 0.5,
    ) -> None:
        super().__init__()
        self.patch_nums = tuple(patch_nums)
        self.embedding = nn.Embedding(vocabulary, channels)
        self.phis = nn.ModuleList(Phi(channels, ratio) for _ in range(phis))

    @property
    def side(self) -> int:
        """Height and width of the latent map."""
        return self.patch_nums[-1]

    def phi(self, scale: int) -> nn.Module:
        """The convolution of one scale: the k whose tick is nearest to its place in [0, 1]."""
        count = len(self.phis)
        # The released code spaces four ticks as 1/12 ... 11/12 and other counts as 1/2k ... 1-1/2k.
        margin = 1 / 3 / count if count == 4 else 1 / 2 / count
        ticks = torch.linspace(margin, 1 - margin, count, dtype=torch.float64)
        place = scale / max(len(self.patch_nums) - 1, 1)
        return self.phis[int((ticks - place).abs().argmin())]

    def nearest(self, f: Float[Tensor, "row channel"]) -> Int[Tensor, " row"]:
        """The index of each row's nearest code in Euclidean distance."""
        codes = self.embedding.weight
        return torch.addmm(codes.square().sum(1), f, codes.T, alpha=-2).argmin(dim=1)

    def residual(self, scale: int, tokens: Tokens) -> Map:
        """What the tokens of one scale add to the latent map."""
        pn = self.patch_nums[scale]
        h = self.embedding(tokens).transpose(1, 2).unflatten(2, (pn, pn))
        if scale < len(self.patch_nums) - 1:
            h = functional.interpolate(h, size=(self.side, self.side), mode="bicubic")
        result: Tensor = self.phi(scale)(h)
        return result

    def shrink(self, f: Map, scale: int) -> Float[Tensor, "batch token channel"]:
        """The latent map averaged down to one scale, as a token sequence."""
        pn = self.patch_nums[scale]
        if pn != self.side:
            f = functional.interpolate(f, size=(pn, pn), mode="area")
        return f.flatten(2).transpose(1, 2)

    def encode(self, f: Map) -> tuple[list[Tokens], list[Map]]:
        """Tokens of each scale, coarse to fine, and the reconstruction after each."""
        rest, total = f, torch.zeros_like(f)
        tokens, maps = [], []
        for scale in range(len(self.patch_nums)):
            rows = self.shrink(rest.detach(), scale)
            index = self.nearest(rows.flatten(0, 1)).view(rows.shape[:2])
            h = self.residual(scale, index)
            total, rest = total + h, rest - h.detach()
            tokens.append(index)
            maps.append(total)
        return tokens, maps

    def teacher_inputs(self, tokens: Sequence[Tokens]) -> Float[Tensor, "batch input channel"]:
        """The inputs of scales 1 onwards when all earlier tokens are known."""
        total: Tensor | None = None
        inputs = []
        for scale in range(len(self.patch_nums) - 1):
            h = self.residual(scale, tokens[scale])
            total = h if total is None else total + h
            inputs.append(self.shrink(total, scale + 1))
        return torch.cat(inputs, dim=1)


@dataclass(frozen=True)
class MultiScaleConfig:
    """Sizes of a multi-scale tokenizer: its autoencoder, codes, and the side of each scale."""

    autoencoder: AutoencoderConfig
    vocabulary: int
    patch_nums: tuple[int, ...]


class MultiScaleTokenizer(nn.Module):
    """Autoencoder and codebook in one: images to tokens (VAR) or continuous latents (DiT) and back.

    `latent_shift` and `latent_scale` (per channel) bring continuous latents to zero mean and unit
    variance for diffusion; the discrete path does not use them. Models that leave it to their
    tokenizer truncate its images to bytes, as VAR does.
    """

    rounded: bool | None = False
    latent_shift: Tensor
    latent_scale: Tensor

    def __init__(self, config: MultiScaleConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.autoencoder.latent_channels
        self.encoder = Encoder(config.autoencoder)
        self.decoder = Decoder(config.autoencoder)
        self.quantizer = MultiScaleQuantizer(config.vocabulary, channels, config.patch_nums)
        self.quant_conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.post_quant_conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.register_buffer("latent_shift", torch.zeros(channels))
        self.register_buffer("latent_scale", torch.ones(channels))

    def features(self, images: Map) -> Map:
        """The latent map before quantization, for images in [-1, 1]."""
        result: Tensor = self.quant_conv(self.encoder(images))
        return result

    def tokens(self, images: Map) -> list[Tokens]:
        """Tokens of each scale, coarse to fine."""
        return self.quantizer.encode(self.features(images))[0]

    def latents(self, images: Map) -> Map:
        """Continuous latents, standardised per channel."""
        shift, scale = self._affine()
        return (self.features(images) - shift) / scale

    def from_latents(self, latents: Map) -> Map:
        """Images in about [-1, 1] from standardised continuous latents."""
        shift, scale = self._affine()
        return self.decode(latents * scale + shift)

    def decode(self, f: Map) -> Map:
        """Images in about [-1, 1] from a latent map."""
        result: Tensor = self.decoder(self.post_quant_conv(f))
        return result

    def _affine(self) -> tuple[Tensor, Tensor]:
        return self.latent_shift[:, None, None], self.latent_scale[:, None, None]


def released_keys(module: nn.Module) -> KeyMap:
    """The key map of vae_ch160v4096z32.pth; the affine map of continuous latents is not in it."""
    assert isinstance(module, MultiScaleTokenizer)
    keys = dict(autoencoder_keys(module, module.config.autoencoder, LDM_FUSED))
    for name, _ in module.named_parameters():
        if name not in keys:
            released = name.replace("quantizer.phis.", "quantize.quant_resi.qresi_ls.")
            keys[name] = Source((released.replace("quantizer.", "quantize."),))
    return keys


VAR_TOKENIZER_LAYOUTS = (
    Layout(
        "VAR tokenizer",
        released_keys,
        nested=("trainer.vae_local",),
        ignored=lambda key: key == "quantize.ema_vocab_hit_SV",
    ),
)
"""The ways in which VAR's tokenizer is published."""
