"""The networks of MAR: a masked autoencoder over an image's tokens, and its diffusion head.

Li et al., "Autoregressive Image Generation without Vector Quantization", arXiv 2406.11838. Class
tokens and the known tokens pass the encoder; the decoder sees a mask token in every other place.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitscape.models.diffusion_head import DiffusionHead
from bitscape.models.layers import SelfAttention, initialise_linears
from bitscape.structure import FeedForward

Tokens = Float[Tensor, "batch token channel"]
Positions = Int[Tensor, "batch position"]


@dataclass(frozen=True)
class MARConfig:
    """Sizes of a MAR; encoder and decoder have `depth` blocks each, `side` is that of the latents.

    `buffer` class tokens stand before the image's. `iterations` and `head_steps` are the default
    trajectory's: step tables have a row for each iteration (backbone) and diffusion step (head).
    """

    embed_dim: int
    depth: int
    num_heads: int
    head_width: int
    head_depth: int
    mlp_ratio: float = 4.0
    num_classes: int = 1000
    side: int = 16
    latent_channels: int = 16
    buffer: int = 64
    learn_sigma: bool = True
    frequencies: int = 256
    label_dropout: float = 0.1
    iterations: int = 256
    head_steps: int = 100

    @property
    def length(self) -> int:
        """Tokens of an image."""
        return self.side**2


class MARBlock(nn.Module):
    """x + attention(LN(x)), then x + feed_forward(LN(x))."""

    def __init__(self, config: MARConfig) -> None:
        super().__init__()
        channels = config.embed_dim
        scale = (channels // config.num_heads) ** -0.5
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = SelfAttention(channels, config.num_heads, scale=scale, normalise=False)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = FeedForward(channels, round(channels * config.mlp_ratio), approximate="none")

    def forward(self, x: Tokens) -> Tokens:
        x = x + self.attn(self.norm1(x))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class Unmask(nn.Module):
    """From encoder to decoder: known tokens to their places, the mask token everywhere else."""

    def __init__(self, config: MARConfig) -> None:
        super().__init__()
        channels = config.embed_dim
        self.buffer, self.length = config.buffer, config.length
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.embed = nn.Linear(channels, channels)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, channels))
        self.position = nn.Parameter(torch.zeros(1, config.buffer + config.length, channels))

    def forward(self, x: Tokens, known: Positions) -> Float[Tensor, "batch whole channel"]:
        x = self.embed(self.norm(x))
        image = self.mask_token.to(x.dtype).expand(len(x), self.length, -1)
        image = put(image, known, x[:, self.buffer :])
        return torch.cat([x[:, : self.buffer], image], dim=1) + self.position


class Backbone(nn.Module):
    """A vector for every token of an image, from those that are known and the class."""

    def __init__(self, config: MARConfig) -> None:
        super().__init__()
        channels = config.embed_dim
        self.buffer = config.buffer
        self.token_embed = nn.Linear(config.latent_channels, channels)
        self.class_embed = nn.Embedding(config.num_classes + 1, channels)
        self.position = nn.Parameter(torch.zeros(1, config.buffer + config.length, channels))
        self.norm_in = nn.LayerNorm(channels, eps=1e-6)
        self.encoder = nn.ModuleList(MARBlock(config) for _ in range(config.depth))
        self.unmask = Unmask(config)
        self.decoder = nn.ModuleList(MARBlock(config) for _ in range(config.depth))
        self.norm_out = nn.LayerNorm(channels, eps=1e-6)
        self.condition_position = nn.Parameter(torch.zeros(1, config.length, channels))
        self._initialise()

    def forward(
        self,
        tokens: Float[Tensor, "batch known latent"],
        known: Int[Tensor, "batch known"],
        labels: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch whole channel"]:
        """Vectors of all positions, given those `known`; label `num_classes` is "no class"."""
        # Latents keep the sampler's precision; the network may compute in another.
        x = self.token_embed(tokens.to(self.token_embed.weight.dtype))
        x = x + self.position[0, self.buffer :][known]
        opening = self.class_embed(labels).unsqueeze(1) + self.position[:, : self.buffer]
        x = self.norm_in(torch.cat([opening, x], dim=1))
        for block in self.encoder:
            x = block(x)
        x = self.unmask(x, known)
        for block in self.decoder:
            x = block(x)
        result: Tensor = self.norm_out(x)[:, self.buffer :] + self.condition_position
        return result

    @torch.no_grad()
    def _initialise(self) -> None:
        initialise_linears(self)
        learned = (self.class_embed.weight, self.position, self.condition_position)
        for parameter in (*learned, self.unmask.mask_token, self.unmask.position):
            nn.init.normal_(parameter, std=0.02)


class MAR(nn.Module):
    """The two networks of MAR; calls name them, and each has a clock of its own."""

    def __init__(self, config: MARConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.head = DiffusionHead(
            config.latent_channels,
            config.embed_dim,
            width=config.head_width,
            depth=config.head_depth,
            out_channels=config.latent_channels * (2 if config.learn_sigma else 1),
            frequencies=config.frequencies,
        )


def take(x: Tokens, places: Positions) -> Float[Tensor, "batch position channel"]:
    """The rows of `x` at `places`, which differ from sample to sample."""
    return x.gather(1, places.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def put(x: Tokens, places: Positions, rows: Tensor) -> Tokens:
    """`x` with `rows` at `places`."""
    return x.scatter(1, places.unsqueeze(-1).expand(-1, -1, x.shape[-1]), rows)
