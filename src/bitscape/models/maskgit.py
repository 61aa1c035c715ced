"""The MaskGIT-VQGAN tokenizer: images to a grid of tokens from one plain codebook, and back.

Chang et al., "MaskGIT: Masked Generative Image Transformer", arXiv 2202.04200, appendix A: VQGAN
(Esser et al., arXiv 2012.09841) without its attention layers. Most convolutions have no bias,
resolution is halved by averaging, and images lie in [0, 1]. Names are those of the released file.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bitscape.models.checkpoint import Layout, same_names

Image = Float[Tensor, "batch channel height width"]
Mapped = Float[Tensor, "batch mapped_channel mapped_height mapped_width"]
Grid = Int[Tensor, "batch token"]


@dataclass(frozen=True)
class MaskGITConfig:
    """Sizes: level i has `channels * multipliers[i]` channels and half the resolution of i - 1."""

    channels: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    residual_blocks: int = 2
    latent_channels: int = 256
    vocabulary: int = 1024
    norm_groups: int = 32

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, finest first."""
        return tuple(self.channels * m for m in self.multipliers)


class ResidualBlock(nn.Module):
    """h + x, h = norm, SiLU, conv twice; where the width changes h + shortcut(h).

    The shortcut of h instead of x is how the released weights were trained.
    """

    def __init__(self, channels_in: int, channels_out: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels_in, eps=1e-6)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(groups, channels_out, eps=1e-6)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.nin_shortcut: nn.Module | None = None
        if channels_in != channels_out:
            self.nin_shortcut = nn.Conv2d(channels_out, channels_out, 1, bias=False)

    def forward(self, x: Image) -> Mapped:
        h: Tensor = self.conv1(functional.silu(self.norm1(x)))
        h = self.conv2(functional.silu(self.norm2(h)))
        return h + (x if self.nin_shortcut is None else self.nin_shortcut(h))


class Level(nn.Module):
    """The residual blocks of one resolution, and in the decoder the convolution after doubling."""

    def __init__(
        self, width_in: int, width: int, config: MaskGITConfig, *, doubles: bool = False
    ) -> None:
        super().__init__()
        self.block = _blocks(width_in, width, config)
        self.upsample_conv = nn.Conv2d(width, width, 3, padding=1) if doubles else None

    def forward(self, x: Image) -> Mapped:
        x = self.block(x)
        if self.upsample_conv is not None:
            x = self.upsample_conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        return x


def _blocks(width_in: int, width: int, config: MaskGITConfig) -> nn.Sequential:
    return nn.Sequential(
        *(
            ResidualBlock(width_in if i == 0 else width, width, config.norm_groups)
            for i in range(config.residual_blocks)
        )
    )


class Encoder(nn.Module):
    """Images in [0, 1] to latents, (batch, 3, h, w) to (batch, latent, h / 2^(levels-1), ...)."""

    def __init__(self, config: MaskGITConfig) -> None:
        super().__init__()
        widths = config.widths
        before = (config.channels, *widths[:-1])
        self.conv_in = nn.Conv2d(3, config.channels, 3, padding=1, bias=False)
        self.down = nn.ModuleList(Level(before[i], widths[i], config) for i in range(len(widths)))
        self.mid = _blocks(widths[-1], widths[-1], config)
        self.norm_out = nn.GroupNorm(config.norm_groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], config.latent_channels, 1)

    def forward(self, x: Image) -> Mapped:
        h = self.conv_in(x)
        for i, level in enumerate(self.down):
            h = level(h if i == 0 else functional.avg_pool2d(h, 2))
        result: Tensor = self.conv_out(functional.silu(self.norm_out(self.mid(h))))
        return result


class Decoder(nn.Module):
    """Latents to images; `up` counts its levels from the finest, as the released file does."""

    def __init__(self, config: MaskGITConfig) -> None:
        super().__init__()
        widths = config.widths
        before = (*widths[1:], widths[-1])
        self.conv_in = nn.Conv2d(config.latent_channels, widths[-1], 3, padding=1)
        self.mid = _blocks(widths[-1], widths[-1], config)
        self.up = nn.ModuleList(
            Level(before[i], widths[i], config, doubles=i > 0) for i in range(len(widths))
        )
        self.norm_out = nn.GroupNorm(config.norm_groups, widths[0], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, z: Image) -> Mapped:
        h = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            h = level(h)
        result: Tensor = self.conv_out(functional.silu(self.norm_out(h)))
        return result


class Codebook(nn.Module):
    """Vectors of which each cell of the latent map takes the nearest."""

    def __init__(self, vocabulary: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, channels)

    def nearest(self, z: Image) -> Grid:
        """The index of each cell's nearest code in Euclidean distance, in raster order."""
        rows, codes = z.flatten(2).transpose(1, 2), self.embedding.weight  # (B, T, c)
        scores = torch.addmm(codes.square().sum(1), rows.flatten(0, 1), codes.T, alpha=-2)
        return scores.argmin(dim=1).view(rows.shape[:2])

    def lookup(self, tokens: Grid) -> Mapped:
        """The square latent map whose cells hold the codes of `tokens`."""
        side = round(tokens.shape[1] ** 0.5)
        result: Tensor = self.embedding(tokens).transpose(1, 2).unflatten(2, (side, side))
        return result


class MaskGITTokenizer(nn.Module):
    """Encoder, codebook and decoder: images to tokens in raster order and back."""

    def __init__(self, config: MaskGITConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quantize = Codebook(config.vocabulary, config.latent_channels)

    def features(self, images: Image) -> Mapped:
        """The latent map before quantization, for images in [-1, 1]."""
        result: Tensor = self.encoder((images + 1) / 2)
        return result

    def tokens(self, images: Image) -> Grid:
        """The tokens of images in [-1, 1]."""
        return self.quantize.nearest(self.features(images))

    def decode(self, z: Image) -> Mapped:
        """Images in about [0, 1] from a latent map."""
        result: Tensor = self.decoder(z)
        return result


MASKGIT_LAYOUT = Layout("maskgit-vqgan-imagenet-f16-256", same_names)
