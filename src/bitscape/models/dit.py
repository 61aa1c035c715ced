"""DiT: latent diffusion with a transformer and adaLN-Zero conditioning.

Peebles and Xie, "Scalable Diffusion Models with Transformers", arXiv 2212.09748. Written from the
paper's description and the released checkpoints' shapes.

Released files: DiT-XL-2-256x256.pt and DiT-XL-2-512x512.pt (dl.fbaipublicfiles.com/DiT/models),
what the official training script saves, and diffusers' folders facebook/DiT-XL-2-256 and -512. The
tokenizer is Stable Diffusion's, sd-vae-ft-ema or sd-vae-ft-mse.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bitscape.models.autoencoder import AutoencoderConfig, LatentTokenizer, to_uint8
from bitscape.models.checkpoint import KeyMap, Layout, Source
from bitscape.models.denoising import Denoising
from bitscape.models.diffusion import Diffusion
from bitscape.models.family import Family
from bitscape.models.kl import KL_LAYOUTS, SD_VAE, KLTokenizer
from bitscape.models.layers import (
    Modulate,
    SelfAttention,
    block_sites,
    dit_folds,
    initialise_linears,
    sine_frequencies,
)
from bitscape.models.multiscale import MultiScaleConfig, MultiScaleTokenizer
from bitscape.structure import (
    Block,
    FeedForward,
    Fold,
    Site,
    chain,
)

Latent = Float[Tensor, "batch channel height width"]
Prediction = Float[Tensor, "batch predicted height width"]


@dataclass(frozen=True)
class DiTConfig:
    """Sizes of a DiT; `side` is the height and width of its latents."""

    embed_dim: int
    depth: int
    num_heads: int
    mlp_ratio: float = 4.0
    num_classes: int = 1000
    side: int = 32
    latent_channels: int = 4
    patch: int = 2
    learn_sigma: bool = True
    label_dropout: float = 0.1
    frequencies: int = 256

    @property
    def out_channels(self) -> int:
        """Channels predicted a pixel: the noise, and with `learn_sigma` its variance."""
        return self.latent_channels * (2 if self.learn_sigma else 1)


class DiTBlock(nn.Module):
    """x + g1 attention(AdaLN(x)), then x + g2 feed_forward(AdaLN(x)).

    The modulation's sixths are, in the released order, h1, a1, g1, h2, a2, g2.
    """

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        channels = config.embed_dim
        scale = (channels // config.num_heads) ** -0.5
        self.norm1 = Modulate(channels)
        self.attn = SelfAttention(channels, config.num_heads, scale=scale, normalise=False)
        self.norm2 = Modulate(channels)
        self.mlp = FeedForward(channels, round(channels * config.mlp_ratio))
        self.ada = nn.Linear(channels, 6 * channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        h1, a1, g1, h2, a2, g2 = self.ada(condition).chunk(6, dim=-1)
        x = torch.addcmul(x, self.attn(self.norm1(x, a1, h1)), g1.unsqueeze(1))
        return torch.addcmul(x, self.mlp(self.norm2(x, a2, h2)), g2.unsqueeze(1))


class FinalLayer(nn.Module):
    """AdaLN by a condition of width `condition`, and the projection of each token to its patch."""

    def __init__(self, config: DiTConfig, condition: int) -> None:
        super().__init__()
        channels = config.embed_dim
        self.norm = Modulate(channels)
        self.ada = nn.Linear(condition, 2 * channels)
        self.linear = nn.Linear(channels, config.patch**2 * config.out_channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale = self.ada(condition).chunk(2, dim=-1)
        result: Tensor = self.linear(self.norm(x, scale, shift))
        return result


class DiT(nn.Module):
    """The predicted noise (and variance) of a latent at a timestep, given the class."""

    position: Tensor

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.config = config
        channels, patch = config.embed_dim, config.patch
        self.patch_embed = nn.Conv2d(config.latent_channels, channels, patch, stride=patch)
        self.time_fc1 = nn.Linear(config.frequencies, channels)
        self.time_fc2 = nn.Linear(channels, channels)
        self.class_embed = nn.Embedding(config.num_classes + 1, channels)
        grid = config.side // patch
        self.register_buffer("position", sine_positions(channels, grid)[None], persistent=False)
        self.blocks = nn.ModuleList(DiTBlock(config) for _ in range(config.depth))
        self.final = FinalLayer(config, channels)
        self._initialise()

    def forward(
        self, x: Latent, t: Int[Tensor, " batch"], labels: Int[Tensor, " batch"]
    ) -> Prediction:
        """Predictions for noisy latents `x`; label `num_classes` is "no class"."""
        # Latents keep the sampler's precision; the network may compute in another.
        x = x.to(self.patch_embed.weight.dtype)
        tokens = self.patch_embed(x).flatten(2).transpose(1, 2) + self.position  # (B, T, c)
        time = sine_frequencies(t, self.config.frequencies).to(tokens.dtype)
        cond = self.time_fc2(functional.silu(self.time_fc1(time))) + self.class_embed(labels)
        activated = functional.silu(cond)
        for block in self.blocks:
            tokens = block(tokens, activated)
        return unpatch(self.final(tokens, activated), self.config.patch)

    @torch.no_grad()
    def _initialise(self) -> None:
        """adaLN-Zero: every gate and the output start at zero."""
        initialise_linears(self)
        nn.init.xavier_uniform_(self.patch_embed.weight.flatten(1))
        assert self.patch_embed.bias is not None
        nn.init.zeros_(self.patch_embed.bias)
        nn.init.normal_(self.class_embed.weight, std=0.02)
        nn.init.normal_(self.time_fc1.weight, std=0.02)
        nn.init.normal_(self.time_fc2.weight, std=0.02)
        for part in (*self.blocks, self.final):
            nn.init.zeros_(part.ada.weight)
        nn.init.zeros_(self.final.linear.weight)


def unpatch(tokens: Float[Tensor, "batch token channel"], patch: int) -> Prediction:
    """The square map whose `patch` x `patch` pieces, in raster order, are the tokens."""
    side = math.isqrt(tokens.shape[1])
    x = tokens.unflatten(2, (patch, patch, -1)).unflatten(1, (side, side))  # (B, H, W, p, q, c)
    return x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)  # (B, c, H p, W q)


def sine_positions(channels: int, side: int) -> Float[Tensor, "token channel"]:
    """Fixed two-dimensional sine-cosine positions: half the channels code the column, half the row.

    Width and height each get sin then cos of their coordinate at channels / 4 frequencies.
    """
    if channels % 4:
        raise ValueError(f"sine positions need a width divisible by 4, got {channels}")
    powers = torch.arange(channels // 4, dtype=torch.float64) / (channels / 4)
    angle = torch.arange(side, dtype=torch.float64)[:, None] * torch.pow(1e-4, powers)
    line = torch.cat([angle.sin(), angle.cos()], dim=1)
    columns, rows = line.repeat(side, 1), line.repeat_interleave(side, dim=0)
    return torch.cat([columns, rows], dim=1).float()


class DiTAdapter(Denoising):
    """What the library needs to know of DiT."""

    family = "dit"

    def __init__(self, config: DiTConfig, *, steps: int, diffusion: Diffusion) -> None:
        super().__init__(
            config,
            num_classes=config.num_classes,
            shape=(config.latent_channels, config.side, config.side),
            steps=steps,
            diffusion=diffusion,
        )

    def sites(self, network: nn.Module) -> list[Site]:
        """AdaLN, qkv, proj, fc1, fc2 of each block; the final layer stays in full precision."""
        return [s for i in range(self.config.depth) for s in block_sites(f"blocks.{i}")]

    def folds(self, network: nn.Module) -> list[Fold]:
        """AdaLN into qkv and fc1; values into proj; GELU into fc2 takes nothing."""
        return dit_folds(self.config.depth, self.config.embed_dim // self.config.num_heads)

    def blocks(self, network: nn.Module) -> list[Block]:
        """The transformer blocks, a chain."""
        return chain([f"blocks.{i}" for i in range(self.config.depth)])

    def decode(self, tokenizer: nn.Module, latents: Tensor) -> Tensor:
        """uint8 images from scaled latents; rounded as the released script does, if not told."""
        assert isinstance(tokenizer, LatentTokenizer)
        rounded = tokenizer.rounded is None or tokenizer.rounded
        return to_uint8(tokenizer.from_latents(latents), rounded=rounded)


_OFFICIAL = {
    "patch_embed": "x_embedder.proj",
    "time_fc1": "t_embedder.mlp.0",
    "time_fc2": "t_embedder.mlp.2",
    "class_embed": "y_embedder.embedding_table",
    "final": "final_layer",
    "ada": "adaLN_modulation.1",
}
_DIFFUSERS = {
    "patch_embed": ("pos_embed.proj",),
    "time_fc1": ("transformer_blocks.0.norm1.emb.timestep_embedder.linear_1",),
    "time_fc2": ("transformer_blocks.0.norm1.emb.timestep_embedder.linear_2",),
    "class_embed": ("transformer_blocks.0.norm1.emb.class_embedder.embedding_table",),
    "final.ada": ("proj_out_1",),
    "final.linear": ("proj_out_2",),
    "ada": ("norm1.linear",),
    "attn.qkv": ("attn1.to_q", "attn1.to_k", "attn1.to_v"),
    "attn.proj": ("attn1.to_out.0",),
    "mlp.fc1": ("ff.net.0.proj",),
    "mlp.fc2": ("ff.net.2",),
}


def official_keys(network: nn.Module) -> KeyMap:
    """The key map of the official files."""
    assert isinstance(network, DiT)
    return {
        name: Source((".".join(_OFFICIAL.get(word, word) for word in name.split(".")),))
        for name, _ in network.named_parameters()
    }


def diffusers_keys(network: nn.Module) -> KeyMap:
    """The key map of diffusers' DiTTransformer2DModel.

    There each block holds a copy of the embeddings of time and class; the first one is read. Its
    frequencies fall to 1/10000 one step earlier than those the released weights were trained with;
    ours are the latter.
    """
    assert isinstance(network, DiT)
    return {name: _diffusers_source(name) for name, _ in network.named_parameters()}


def _diffusers_source(name: str) -> Source:
    layer, _, field = name.rpartition(".")
    before, inside = "", layer
    if layer.startswith("blocks."):
        _, index, inside = layer.split(".", 2)
        before = f"transformer_blocks.{index}."
    keys = tuple(f"{before}{theirs}.{field}" for theirs in _DIFFUSERS[inside])
    return Source(keys, lambda *tensors: torch.cat(tensors)) if len(keys) > 1 else Source(keys)


DIT_LAYOUTS = (
    Layout("DiT", official_keys, ("ema", "model"), ignored=lambda key: key == "pos_embed"),
    Layout(
        "diffusers",
        diffusers_keys,
        ("transformer",),
        ignored=lambda key: ".norm1.emb." in key or key == "pos_embed.pos_embed",
    ),
)


def tiny_tokenizer(config: DiTConfig) -> MultiScaleTokenizer:
    """A small autoencoder of the zoo's kind, with the latents of `config`."""
    autoencoder = AutoencoderConfig(8, (1, 2, 2), 1, config.latent_channels, 4)
    # Only the continuous path of this tokenizer is used, so its one code is never looked up.
    return MultiScaleTokenizer(MultiScaleConfig(autoencoder, 1, (config.side,)))


DIT_FAMILY = Family(
    name="dit",
    style="diffusion",
    sizes={
        "S-2": DiTConfig(384, 12, 6),
        "B-2": DiTConfig(768, 12, 12),
        "L-2": DiTConfig(1024, 24, 16),
        "XL-2": DiTConfig(1152, 28, 16),
        "XL-2-512": DiTConfig(1152, 28, 16, side=64),
    },
    tiny_config=DiTConfig(
        16,
        2,
        2,
        num_classes=10,
        side=4,
        latent_channels=8,
        patch=1,
        learn_sigma=False,
        frequencies=32,
    ),
    tiny_tokenizer=tiny_tokenizer,
    config=DiTConfig,
    network=DiT,
    adapter=lambda config, _: DiTAdapter(config, steps=20, diffusion=Diffusion()),
    tokenizer=lambda _: KLTokenizer(SD_VAE),
    sampler={"guidance": 1.5},
    samplers=dict.fromkeys(
        ("S-2", "B-2", "L-2", "XL-2", "XL-2-512"),
        {"solver": "ddpm", "steps": 250, "guided_channels": 3},
    ),
    layouts=DIT_LAYOUTS,
    tokenizer_layouts=KL_LAYOUTS,
)
