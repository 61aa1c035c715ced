"""The transformer of VAR: all tokens of one scale at a time, modulated by the class.

Tian et al., "Visual Autoregressive Modeling: Scalable Image Generation via Next-Scale Prediction",
arXiv 2404.02905, section 3. Ours differs from the released networks in names, and in one fused qkv
bias whose key third is zero and stays zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bitscape.models.layers import Modulate, SelfAttention
from bitscape.structure import Cache, FeedForward

Logits = Float[Tensor, "batch token code"]


@dataclass(frozen=True)
class VARConfig:
    """Sizes of a VAR transformer and of the tokenizer it speaks.

    With `shared_aln` one linear layer makes the modulation of all blocks, and each block adds an
    offset of its own (d36).
    """

    embed_dim: int
    depth: int
    num_heads: int
    mlp_ratio: float = 4.0
    num_classes: int = 1000
    vocabulary: int = 4096
    latent_channels: int = 32
    patch_nums: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
    normalise: bool = True
    label_dropout: float = 0.1
    shared_aln: bool = False

    @property
    def counts(self) -> list[int]:
        """The tokens of each scale."""
        return [pn * pn for pn in self.patch_nums]


class VARBlock(nn.Module):
    """x + g1 attention(AdaLN(x)), then x + g2 feed_forward(AdaLN(x)).

    The modulation's sixths are, in the released order, g1, g2, a1, a2, h1, h2. A block of a network
    with `shared_aln` is given the shared modulation as its condition, and adds `offset`.
    """

    ada: nn.Linear | None
    offset: nn.Parameter | None

    def __init__(self, config: VARConfig) -> None:
        super().__init__()
        channels = config.embed_dim
        # The released plain attention scales by 0.25 / sqrt(d), not 1 / sqrt(d).
        scale = 0.25 * (channels // config.num_heads) ** -0.5
        self.norm1 = Modulate(channels)
        self.attn = SelfAttention(
            channels, config.num_heads, scale=scale, normalise=config.normalise
        )
        self.norm2 = Modulate(channels)
        self.mlp = FeedForward(channels, round(channels * config.mlp_ratio))
        if config.shared_aln:
            self.register_module("ada", None)
            self.offset = nn.Parameter(torch.randn(6 * channels) / channels**0.5)
        else:
            self.ada = nn.Linear(channels, 6 * channels)
            self.register_parameter("offset", None)

    def forward(
        self, x: Tensor, condition: Tensor, mask: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        g1, g2, a1, a2, h1, h2 = self._modulation(condition, cache).chunk(6, dim=-1)
        x = torch.addcmul(x, self.attn(self.norm1(x, a1, h1), mask, cache), g1.unsqueeze(1))
        return torch.addcmul(x, self.mlp(self.norm2(x, a2, h2)), g2.unsqueeze(1))

    def _modulation(self, condition: Tensor, cache: Cache | None) -> Tensor:
        """Of the shared modulation, or of the activated class embedding; once for all scales."""
        if self.ada is None:
            assert self.offset is not None
            return condition + self.offset
        if cache is None:
            result: Tensor = self.ada(condition)
            return result
        if cache.modulation is None:
            cache.modulation = self.ada(condition)
        return cache.modulation

    @torch.no_grad()
    def initialise(self, depth: int) -> None:
        """Damp the residual outputs by sqrt(2 depth) and start from nearly closed gates."""
        self.attn.proj.weight /= (2 * depth) ** 0.5
        self.mlp.fc2.weight /= (2 * depth) ** 0.5
        start_gates(self.ada.weight if self.ada is not None else self.offset)
        self.attn.qkv.bias.register_hook(_keep_key_bias_zero)


@torch.no_grad()
def start_gates(rows: Tensor | None) -> None:
    """Damp the rows of a modulation in place: gates nearly closed, the rest halved."""
    assert rows is not None
    gates = len(rows) // 3
    rows[:gates] *= 1e-5
    rows[gates:] *= 0.5


class VAR(nn.Module):
    """Logits of every token, from the reconstructions of the coarser scales and the class."""

    levels: Tensor
    mask: Tensor

    def __init__(self, config: VARConfig) -> None:
        super().__init__()
        self.config = config
        channels, counts = config.embed_dim, config.counts
        self.length = sum(counts)
        self.word_embed = nn.Linear(config.latent_channels, channels)
        self.class_embed = nn.Embedding(config.num_classes + 1, channels)
        self.start = nn.Parameter(torch.zeros(1, counts[0], channels))
        self.position = nn.Parameter(torch.zeros(1, self.length, channels))
        self.level_embed = nn.Embedding(len(counts), channels)
        self.shared_ada = nn.Linear(channels, 6 * channels) if config.shared_aln else None
        self.blocks = nn.ModuleList(VARBlock(config) for _ in range(config.depth))
        self.head_norm = Modulate(channels)
        self.head_ada = nn.Linear(channels, 2 * channels)
        self.head = nn.Linear(channels, config.vocabulary)
        # The size is given so that the network can also be built on the meta device.
        levels = torch.repeat_interleave(
            torch.arange(len(counts)), torch.tensor(counts), output_size=self.length
        )
        self.register_buffer("levels", levels, persistent=False)
        hidden = levels[:, None] < levels[None, :]
        mask = torch.zeros(hidden.shape).masked_fill(hidden, -torch.inf)
        self.register_buffer("mask", mask, persistent=False)
        self._initialise()

    def forward(
        self,
        inputs: Float[Tensor, "batch token latent"],
        labels: Int[Tensor, " batch"],
        first: int = 0,
        caches: Sequence[Cache] | None = None,
    ) -> Logits:
        """Logits for the tokens from position `first` on.

        `inputs` holds the shrunk reconstruction at each position; those of the first scale, which
        starts from the class embedding alone, are ignored. Label `num_classes` is "no class".
        Without caches `first` must be 0 and a block-causal mask applies; with caches the inputs
        are one whole scale, and everything before it is in the caches.
        """
        cond = self.class_embed(labels)
        stop = first + inputs.shape[1]
        x = self._embed(inputs, cond, first) + self.position[:, first:stop]
        x = x + self.level_embed(self.levels[first:stop])
        mask = self.mask[:stop, :stop].to(x.dtype) if caches is None else None
        activated = functional.silu(cond)
        condition = activated if self.shared_ada is None else self.shared_ada(activated)
        for i, block in enumerate(self.blocks):
            x = block(x, condition, mask, None if caches is None else caches[i])
        scale, shift = self.head_ada(activated).chunk(2, dim=-1)
        result: Tensor = self.head(self.head_norm(x, scale, shift))
        return result

    def _embed(self, inputs: Tensor, cond: Tensor, first: int) -> Tensor:
        # The codebook keeps its own precision; the network may compute in another.
        inputs = inputs.to(cond.dtype)
        begin = self.start.shape[1]
        if first >= begin:
            result: Tensor = self.word_embed(inputs)
            return result
        opening = cond.unsqueeze(1) + self.start
        if inputs.shape[1] == begin:
            return opening
        return torch.cat([opening, self.word_embed(inputs[:, begin:])], dim=1)

    @torch.no_grad()
    def _initialise(self) -> None:
        """The released training's initialisation: small gates, damped residual outputs."""
        std = (1 / self.config.embed_dim / 3) ** 0.5
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=std)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.trunc_normal_(module.weight, std=std)
        for parameter in (self.start, self.position):
            nn.init.trunc_normal_(parameter, std=std)
        self.head.weight *= 0.02
        self.head_ada.weight *= 0.5
        if self.shared_ada is not None:
            start_gates(self.shared_ada.weight)
        for block in self.blocks:
            assert isinstance(block, VARBlock)
            block.initialise(self.config.depth)


def _keep_key_bias_zero(gradient: Tensor) -> Tensor:
    """The released networks have no key bias; its third of the fused bias takes no gradient."""
    query, key, value = gradient.chunk(3)
    return torch.cat([query, torch.zeros_like(key), value])
