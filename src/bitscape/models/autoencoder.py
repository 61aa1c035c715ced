"""The convolutional encoder and decoder of VQGAN, shared by the discrete and continuous families.

Esser et al., "Taming Transformers for High-Resolution Image Synthesis", arXiv 2012.09841, in the
variant of Rombach et al., arXiv 2112.10752: residual blocks with group normalisation, attention in
the middle and, in some releases, at the lowest resolution. VAR's released tokenizer is this network
with `channels=160`, Stable Diffusion's with `channels=128` and no attention outside the middle.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Image = Float[Tensor, "batch channel height width"]
Mapped = Float[Tensor, "batch mapped_channel mapped_height mapped_width"]


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes: level i has `channels * multipliers[i]` channels and half the resolution of i - 1.

    `attention` lists the levels whose residual blocks are each followed by attention, -1 being the
    coarsest; the middle always has it. `decoder_attention` are those of the decoder where they
    differ. With `double_z` the encoder emits a mean and a log variance for each latent channel.
    """

    channels: int = 160
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    residual_blocks: int = 2
    latent_channels: int = 32
    norm_groups: int = 32
    attention: tuple[int, ...] = (-1,)
    double_z: bool = False
    decoder_attention: tuple[int, ...] | None = None

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, finest first."""
        return tuple(self.channels * m for m in self.multipliers)

    @property
    def encoder_attends(self) -> tuple[bool, ...]:
        """Whether each level of the encoder has attention, in the order in which it runs them."""
        return self._attends(self.attention)

    @property
    def decoder_attends(self) -> tuple[bool, ...]:
        """Whether each level of the decoder has attention, in the order in which it runs them."""
        own = self.decoder_attention
        return self._attends(self.attention if own is None else own)[::-1]

    def _attends(self, chosen: tuple[int, ...]) -> tuple[bool, ...]:
        count = len(self.multipliers)
        levels = {level % count for level in chosen}
        return tuple(level in levels for level in range(count))


@runtime_checkable
class LatentTokenizer(Protocol):
    """A tokenizer with continuous latents, scaled as the diffusion model wants them.

    `rounded` tells models that ask how its images become bytes, see `to_uint8`; None leaves it to
    them.
    """

    rounded: bool | None

    def latents(self, images: Image) -> Mapped:
        """Latents of images in [-1, 1]."""
        ...

    def from_latents(self, latents: Image) -> Mapped:
        """Images in about [-1, 1]."""
        ...


class ResidualBlock(nn.Module):
    """norm, SiLU, conv twice, around a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels_in, eps=1e-6)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, channels_out, eps=1e-6)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        same = channels_in == channels_out
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Image) -> Mapped:
        h = self.conv1(functional.silu(self.norm1(x)))
        h = self.conv2(functional.silu(self.norm2(h)))
        result: Tensor = self.shortcut(x) + h
        return result


class SpatialAttention(nn.Module):
    """Single-head self-attention over the pixels of a feature map."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Image) -> Mapped:
        qkv = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).unsqueeze(1)  # (B, 1, hw, 3c)
        h = functional.scaled_dot_product_attention(*qkv.chunk(3, dim=-1))
        result: Tensor = x + self.proj(h.squeeze(1).transpose(1, 2).reshape(x.shape))
        return result


class Downsample(nn.Module):
    """Strided convolution with padding on the far sides only, as in the released networks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Image) -> Mapped:
        result: Tensor = self.conv(functional.pad(x, (0, 1, 0, 1)))
        return result


class Upsample(nn.Module):
    """Nearest-neighbour doubling and a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Image) -> Mapped:
        result: Tensor = self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        return result


def _level(width_in: int, width: int, blocks: int, groups: int, attention: bool) -> nn.Sequential:
    """Residual blocks of one resolution, each followed by attention where the level has it."""
    layers: list[nn.Module] = []
    for i in range(blocks):
        layers.append(ResidualBlock(width_in if i == 0 else width, width, groups))
        if attention:
            layers.append(SpatialAttention(width, groups))
    return nn.Sequential(*layers)


def _middle(width: int, groups: int) -> nn.Sequential:
    return nn.Sequential(
        ResidualBlock(width, width, groups),
        SpatialAttention(width, groups),
        ResidualBlock(width, width, groups),
    )


def _channels_last(x: Image) -> Mapped:
    """`x` with its channels innermost, which every later layer keeps: a sixth faster on CPUs."""
    return x.contiguous(memory_format=torch.channels_last)


class Encoder(nn.Module):
    """Images to latents, (batch, 3, h, w) to (batch, latent, h / 2^(levels-1), ...).

    With `double_z` twice as many channels: means, then log variances.
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths, groups = config.widths, config.norm_groups
        attends = config.encoder_attends
        self.conv_in = nn.Conv2d(3, config.channels, 3, padding=1)
        before = (config.channels, *widths[:-1])
        self.levels = nn.ModuleList(
            _level(before[i], widths[i], config.residual_blocks, groups, attends[i])
            for i in range(len(widths))
        )
        self.downsamples = nn.ModuleList(Downsample(w) for w in widths[:-1])
        self.middle = _middle(widths[-1], groups)
        self.norm_out = nn.GroupNorm(groups, widths[-1], eps=1e-6)
        emitted = config.latent_channels * (2 if config.double_z else 1)
        self.conv_out = nn.Conv2d(widths[-1], emitted, 3, padding=1)

    def forward(self, x: Image) -> Mapped:
        h = self.conv_in(_channels_last(x))
        for i, level in enumerate(self.levels):
            h = level(h)
            if i < len(self.downsamples):
                h = self.downsamples[i](h)
        result: Tensor = self.conv_out(functional.silu(self.norm_out(self.middle(h))))
        # In the usual order again, as files keep latents: a network rounds the two differently.
        return result.contiguous()


class Decoder(nn.Module):
    """Latents to images; one residual block more a level than the encoder."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths, groups = config.widths[::-1], config.norm_groups
        attends = config.decoder_attends
        self.conv_in = nn.Conv2d(config.latent_channels, widths[0], 3, padding=1)
        self.middle = _middle(widths[0], groups)
        before = (widths[0], *widths[:-1])
        self.levels = nn.ModuleList(
            _level(before[i], widths[i], config.residual_blocks + 1, groups, attends[i])
            for i in range(len(widths))
        )
        self.upsamples = nn.ModuleList(Upsample(w) for w in widths[:-1])
        self.norm_out = nn.GroupNorm(groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, z: Image) -> Mapped:
        h = self.middle(self.conv_in(_channels_last(z)))
        for i, level in enumerate(self.levels):
            h = level(h)
            if i < len(self.upsamples):
                h = self.upsamples[i](h)
        result: Tensor = self.conv_out(functional.silu(self.norm_out(h)))
        return result


def to_uint8(images: Image, *, rounded: bool = False) -> Tensor:
    """Images in [-1, 1] as uint8, channels last.

    Truncated as VAR's scripts do, 127.5 (x + 1), or `rounded` half up as ADM's and DiT's do,
    floor(127.5 x + 128).
    """
    scaled = (images.float().clamp(-1, 1) + 1) * 127.5
    if rounded:
        scaled = (scaled + 0.5).clamp_max(255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous()
