"""The transformer of RAR: one token at a time, every position told where its target lies.

Yu et al., "Randomized Autoregressive Visual Generation", arXiv 2411.00776, section 3.2. Ours
differs from the released networks in names, and holds only those rows of their tables that are ever
read: they have 1,022 positions too many and a mask token that nothing uses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bitscape.models.layers import SelfAttention, TokenModulate
from bitscape.structure import Cache, FeedForward, merge_heads

Stream = Float[Tensor, "batch token channel"]
Logits = Float[Tensor, "batch position code"]
PREFIX = 2
"""Positions before the first image token: the start and the class."""


@dataclass(frozen=True)
class RARConfig:
    """Sizes of a RAR transformer; `side` is the height and width of its grid of tokens."""

    embed_dim: int
    depth: int
    num_heads: int
    hidden: int
    num_classes: int = 1000
    vocabulary: int = 1024
    side: int = 16
    label_dropout: float = 0.1

    @property
    def tokens(self) -> int:
        """Tokens of an image."""
        return self.side * self.side


class NormedAttention(SelfAttention):
    """Self-attention whose queries and keys pass a layer norm of their head's width."""

    def __init__(self, channels: int, heads: int) -> None:
        width = channels // heads
        super().__init__(channels, heads, scale=width**-0.5, normalise=False)
        self.q_norm = nn.LayerNorm(width, eps=1e-6)
        self.k_norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Stream, mask: Tensor | None = None, cache: Cache | None = None) -> Stream:
        qkv = self.qkv(x).unflatten(2, (3, self.heads, -1))  # (B, T, 3, h, d)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, h, T, d) each
        q, k = self.q_norm(q), self.k_norm(k)
        heads = self.attend(q, k, v, scale=self.scale, mask=mask, cache=cache)
        result: Tensor = self.proj(merge_heads(heads))
        return result


class RARBlock(nn.Module):
    """x + g1 attention(AdaLN(x)), then x + g2 feed_forward(AdaLN(x)).

    The modulation's sixths are, in the released order, h1, a1, g1, h2, a2, g2.
    """

    def __init__(self, config: RARConfig) -> None:
        super().__init__()
        channels = config.embed_dim
        self.norm1 = TokenModulate(channels, affine=True)
        self.attn = NormedAttention(channels, config.num_heads)
        self.norm2 = TokenModulate(channels, affine=True)
        self.mlp = FeedForward(channels, config.hidden, approximate="none")
        self.ada = nn.Linear(channels, 6 * channels)

    def forward(
        self,
        x: Stream,
        condition: Stream,
        mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Stream:
        h1, a1, g1, h2, a2, g2 = self.ada(condition).chunk(6, dim=-1)
        x = torch.addcmul(x, self.attn(self.norm1(x, a1, h1), mask, cache), g1)
        return torch.addcmul(x, self.mlp(self.norm2(x, a2, h2)), g2)


class RAR(nn.Module):
    """Logits of every token, from the tokens before it and the class.

    The sequence is: start, class, then the tokens in the order of generation. Position p predicts
    the token at p + 1; what stands at the start predicts nothing.
    """

    mask: Tensor

    def __init__(self, config: RARConfig) -> None:
        super().__init__()
        self.config = config
        channels, tokens = config.embed_dim, config.tokens
        self.token_embed = nn.Embedding(config.vocabulary, channels)
        self.class_embed = nn.Embedding(config.num_classes + 1, channels)
        self.start = nn.Parameter(torch.zeros(1, 1, channels))
        self.position = nn.Parameter(torch.zeros(1, PREFIX + tokens, channels))
        self.target = nn.Parameter(torch.zeros(1, tokens, channels))
        self.time = nn.Parameter(torch.zeros(1, tokens + 1, channels))
        self.blocks = nn.ModuleList(RARBlock(config) for _ in range(config.depth))
        self.head_norm = TokenModulate(channels, affine=False)
        self.head_ada = nn.Linear(channels, 2 * channels)
        self.head = nn.Linear(channels, config.vocabulary)
        mask = torch.full((tokens + 1, tokens + 1), -torch.inf).triu(1)
        self.register_buffer("mask", mask, persistent=False)
        self._initialise()

    def forward(
        self,
        tokens: Int[Tensor, "batch seen"],
        labels: Int[Tensor, " batch"],
        first: int = 0,
        order: Int[Tensor, "orders total"] | None = None,
        caches: Sequence[Cache] | None = None,
    ) -> Logits:
        """Logits for what follows each of `tokens`, and at `first` 0 for the first token as well.

        `first` is the position of the first of `tokens`, or 0 when start and class come before
        them; without caches it must be 0. `order` holds the place in the raster of the first,
        second ... token of the sequence, one row for all images or for each; None is the raster
        itself. Label `num_classes` is "no class".
        """
        if order is None:
            order = torch.arange(self.config.tokens, device=tokens.device)[None]
        classes = self.class_embed(labels).unsqueeze(1)  # (B, 1, c)
        x = self.token_embed(tokens)
        if first == 0:
            x = torch.cat([self.start.expand_as(classes), classes, x], dim=1)
        stop = first + x.shape[1]
        x = x + self._places(order, first, stop) + self._targets(order, first, stop)
        condition = functional.silu(classes + self.time[:, first:stop])
        mask = None if x.shape[1] == 1 else self.mask[first:stop, :stop].to(x.dtype)
        for i, block in enumerate(self.blocks):
            x = block(x, condition, mask, None if caches is None else caches[i])
        scale, shift = self.head_ada(condition).chunk(2, dim=-1)
        logits: Tensor = self.head(self.head_norm(x, scale, shift))
        return logits[:, 1:] if first == 0 else logits

    def _places(self, order: Tensor, first: int, stop: int) -> Tensor:
        """The embedding of where each position lies, (1 or B, stop - first, c)."""
        prefix = torch.arange(PREFIX, device=order.device).expand(len(order), PREFIX)
        rows = torch.cat([prefix, PREFIX + order], dim=1)[:, first:stop]
        return self.position[0][rows]

    def _targets(self, order: Tensor, first: int, stop: int) -> Tensor:
        """The embedding of where each position's target lies; zero for the start."""
        if first > 0:
            return self.target[0][order[:, first - 1 : stop - 1]]
        return functional.pad(self.target[0][order[:, : stop - 1]], (0, 0, 1, 0))

    @torch.no_grad()
    def _initialise(self) -> None:
        """The released training's initialisation: adaLN-Zero, closed gates."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.trunc_normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        for parameter in (self.position, self.target, self.time):
            nn.init.trunc_normal_(parameter, std=0.02)
        for name, parameter in self.named_parameters():
            if name.endswith("ada.weight"):
                nn.init.zeros_(parameter)
