"""Large-DiT: class-conditional latent diffusion with the blocks of LLaMA under AdaLN.

Alpha-VLLM/LLaMA2-Accessory, folder Large-DiT-ImageNet. Against DiT (arXiv 2212.09748): RMSNorm with
a weight before the modulation, SwiGLU, no bias in the blocks' linears, a layer norm of queries and
keys, rotary positions along the raster, and a condition of at most 1024 channels.

Released files: `consolidated_ema.00-of-01.pth` in the folders 240218_3b_bs256_step1350k and
240218_7b_bs512_step620k of the Hub's Alpha-VLLM/Large-DiT, each whole in one file: training and
sampling run with a model-parallel size of 1. The tokenizer is DiT's.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bitscape.models.checkpoint import KeyMap, Layout, Source
from bitscape.models.diffusion import Diffusion
from bitscape.models.dit import DiTAdapter, DiTConfig, FinalLayer, tiny_tokenizer, unpatch
from bitscape.models.family import Family
from bitscape.models.kl import KL_LAYOUTS, SD_VAE, KLTokenizer
from bitscape.models.layers import (
    AFFINE,
    Modulate,
    Tokens,
    Vector,
    modulation_push,
    sine_frequencies,
)
from bitscape.models.llama import RotaryAttention, SwiGLU, scale_fold, value_fold
from bitscape.structure import Fold

Latent = Float[Tensor, "batch channel height width"]
Prediction = Float[Tensor, "batch predicted height width"]


@dataclass(frozen=True)
class LargeDiTConfig(DiTConfig):
    """Sizes of a Large-DiT."""

    hidden_multiple: int = 256

    @property
    def hidden(self) -> int:
        """Width of the feed-forward layer: two thirds of DiT's, rounded up to the multiple."""
        wide = int(2 * round(self.mlp_ratio * self.embed_dim) / 3)
        return math.ceil(wide / self.hidden_multiple) * self.hidden_multiple

    @property
    def condition(self) -> int:
        """Width of the embeddings of timestep and class."""
        return min(self.embed_dim, 1024)


class RMSModulate(Modulate):
    """RMSNorm(x) (unit + scale) + shift; folding leaves the norm's own weight as it is."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-5)
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tokens, scale: Vector, shift: Vector) -> Tokens:
        x = functional.rms_norm(x, x.shape[-1:], self.weight, self.eps)
        return torch.addcmul(shift.unsqueeze(1), x, (self.unit + scale).unsqueeze(1))


class LargeDiTBlock(nn.Module):
    """x + g1 attention(AdaLN(x)), then x + g2 feed_forward(AdaLN(x)).

    The modulation's sixths are h1, a1, g1, h2, a2, g2, as DiT's.
    """

    def __init__(self, config: LargeDiTConfig) -> None:
        super().__init__()
        channels = config.embed_dim
        self.norm1 = RMSModulate(channels)
        self.attn = RotaryAttention(channels, config.num_heads, normalise=True)
        self.norm2 = RMSModulate(channels)
        self.mlp = SwiGLU(channels, config.hidden)
        self.ada = nn.Linear(config.condition, 6 * channels)

    def forward(self, x: Tensor, condition: Tensor, table: Tensor) -> Tensor:
        h1, a1, g1, h2, a2, g2 = self.ada(condition).chunk(6, dim=-1)
        x = torch.addcmul(x, self.attn(self.norm1(x, a1, h1), table), g1.unsqueeze(1))
        return torch.addcmul(x, self.mlp(self.norm2(x, a2, h2)), g2.unsqueeze(1))


class LargeDiT(nn.Module):
    """The predicted noise and its variance of a latent at a timestep, given the class."""

    def __init__(self, config: LargeDiTConfig) -> None:
        super().__init__()
        self.config = config
        channels, patch, condition = config.embed_dim, config.patch, config.condition
        self.patch_embed = nn.Conv2d(config.latent_channels, channels, patch, stride=patch)
        self.time_fc1 = nn.Linear(config.frequencies, condition)
        self.time_fc2 = nn.Linear(condition, condition)
        self.class_embed = nn.Embedding(config.num_classes + 1, condition)
        self.blocks = nn.ModuleList(LargeDiTBlock(config) for _ in range(config.depth))
        self.final = FinalLayer(config, condition)
        self._initialise()

    def forward(
        self, x: Latent, t: Int[Tensor, " batch"], labels: Int[Tensor, " batch"]
    ) -> Prediction:
        """Predictions for noisy latents `x`; label `num_classes` is "no class"."""
        config = self.config
        # Latents keep the sampler's precision; the network may compute in another.
        x = x.to(self.patch_embed.weight.dtype)
        tokens = self.patch_embed(x).flatten(2).transpose(1, 2)  # (B, T, c)
        time = sine_frequencies(t, config.frequencies).to(tokens.dtype)
        cond = self.time_fc2(functional.silu(self.time_fc1(time))) + self.class_embed(labels)
        activated = functional.silu(cond)
        places = torch.arange(tokens.shape[1], device=x.device)
        table = rotary_line(places, config.embed_dim // config.num_heads)
        for block in self.blocks:
            tokens = block(tokens, activated, table)
        return unpatch(self.final(tokens, activated), config.patch)

    @torch.no_grad()
    def _initialise(self) -> None:
        """adaLN-Zero: every gate and the output start at zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.xavier_uniform_(module.weight.flatten(1))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for embedding in (self.class_embed, self.time_fc1, self.time_fc2):
            nn.init.normal_(embedding.weight, std=0.02)
        for part in (*self.blocks, self.final):
            nn.init.zeros_(part.ada.weight)
        nn.init.zeros_(self.final.linear.weight)


def rotary_line(places: Int[Tensor, " token"], width: int) -> Float[Tensor, "token pair 2"]:
    """cos and sin of each place times width / 2 frequencies, which fall from 1 to nearly 1e-4."""
    powers = torch.arange(0, width, 2, device=places.device).float() / width
    angles = torch.outer(places, 1 / 1e4**powers)
    return torch.stack([angles.cos(), angles.sin()], dim=-1)


class LargeDiTAdapter(DiTAdapter):
    """What the library needs to know of Large-DiT."""

    family = "largedit"

    def folds(self, network: nn.Module) -> list[Fold]:
        """AdaLN into qkv and fc1; values into proj; the linear half of SwiGLU into fc2."""
        head = self.config.embed_dim // self.config.num_heads
        return [f for i in range(self.config.depth) for f in _folds(f"blocks.{i}", head)]


def _folds(block: str, head: int) -> list[Fold]:
    ada, norm1, norm2 = f"{block}.ada", f"{block}.norm1", f"{block}.norm2"
    fc1 = f"{block}.mlp.fc1"
    return [
        Fold(norm1, (f"{block}.attn.qkv",), AFFINE, modulation_push(ada, norm1, 1, 0)),
        value_fold(block, head),
        Fold(norm2, (fc1,), AFFINE, modulation_push(ada, norm2, 4, 3)),
        scale_fold(f"{block}.swiglu", fc1, f"{block}.mlp.fc2", (1, 2)),
    ]


_OUTSIDE = {
    "patch_embed": "x_embedder",
    "time_fc1": "t_embedder.mlp.0",
    "time_fc2": "t_embedder.mlp.2",
    "class_embed": "y_embedder.embedding_table",
    "final.ada": "final_layer.adaLN_modulation.1",
    "final.linear": "final_layer.linear",
}
_INSIDE = {
    "norm1": ("attention_norm",),
    "norm2": ("ffn_norm",),
    "ada": ("adaLN_modulation.1",),
    "attn.qkv": ("attention.wq", "attention.wk", "attention.wv"),
    "attn.norm_q": ("attention.q_norm",),
    "attn.norm_k": ("attention.k_norm",),
    "attn.proj": ("attention.wo",),
    "mlp.fc1": ("feed_forward.w1", "feed_forward.w3"),
    "mlp.fc2": ("feed_forward.w2",),
}


def released_keys(network: nn.Module) -> KeyMap:
    """The key map of the released files."""
    assert isinstance(network, LargeDiT)
    config = network.config
    keys = {name: _source(name) for name, _ in network.named_parameters()}

    def as_convolution(rows: Tensor) -> Tensor:
        return rows.unflatten(1, (config.latent_channels, config.patch, config.patch))

    return {**keys, "patch_embed.weight": Source(("x_embedder.weight",), as_convolution)}


def _source(name: str) -> Source:
    layer, _, field = name.rpartition(".")
    if not layer.startswith("blocks."):
        return Source((f"{_OUTSIDE[layer]}.{field}",))
    _, index, inside = layer.split(".", 2)
    keys = tuple(f"layers.{index}.{theirs}.{field}" for theirs in _INSIDE[inside])
    return Source(keys, _rows) if len(keys) > 1 else Source(keys)


def _rows(*tensors: Tensor) -> Tensor:
    return torch.cat(tensors)


_SIZES = {
    "600M": LargeDiTConfig(1536, 16, 32),
    "3B": LargeDiTConfig(3072, 32, 32),
    "7B": LargeDiTConfig(4096, 32, 32),
}

LARGE_DIT_FAMILY = Family(
    name="largedit",
    style="diffusion",
    sizes=_SIZES,
    tiny_config=LargeDiTConfig(
        16,
        2,
        2,
        num_classes=10,
        side=4,
        latent_channels=8,
        patch=1,
        learn_sigma=False,
        frequencies=32,
        hidden_multiple=16,
    ),
    tiny_tokenizer=tiny_tokenizer,
    config=LargeDiTConfig,
    network=LargeDiT,
    adapter=lambda config, _: LargeDiTAdapter(config, steps=20, diffusion=Diffusion()),
    tokenizer=lambda _: KLTokenizer(SD_VAE),
    sampler={"guidance": 4.0},
    samplers=dict.fromkeys(_SIZES, {"solver": "ddpm", "steps": 250, "guided_channels": 3}),
    layouts=(Layout("Large-DiT", released_keys),),
    tokenizer_layouts=KL_LAYOUTS,
)
