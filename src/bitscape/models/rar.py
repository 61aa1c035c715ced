"""RAR: randomized autoregressive image generation.

Yu et al., "Randomized Autoregressive Visual Generation", arXiv 2411.00776. A decoder-only
transformer predicts one token at a time. While training, the order of the tokens may be permuted;
every position is therefore told where its target lies by a second, target-aware positional
embedding (section 3.2). Images are sampled in raster order. The class stands in the sequence and
also, with an embedding of the position added, modulates every block through AdaLN.

Ours differs from the released networks in names, and holds only those rows of their tables that
are ever read: they have 1,022 positions too many and a mask token that nothing uses.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bitscape.models.checkpoint import KeyMap, Layout, Source
from bitscape.models.family import Family
from bitscape.models.layers import (
    AFFINE,
    FeedForward,
    SelfAttention,
    TokenModulate,
    block_folds,
    block_sites,
    modulation_push,
)
from bitscape.models.maskgit import MASKGIT_LAYOUT, MaskGITConfig, MaskGITTokenizer
from bitscape.models.sampling import guide, pick_tokens
from bitscape.models.token_prediction import TokenPrediction
from bitscape.structure import (
    Block,
    Cache,
    Call,
    Fold,
    Lesson,
    Randomness,
    Role,
    Site,
    Trajectory,
    caches,
    chain,
    merge_heads,
)

Stream = Float[Tensor, "batch token channel"]
Logits = Float[Tensor, "batch position code"]
PREFIX = 2
"""Positions before the first image token: the start and the class."""
RUNS = (0, 1, PREFIX)
"""Start, class and image tokens feed layers with inputs of their own kind."""


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


class ExactFeedForward(FeedForward):
    """fc2(gelu(fc1(x))), the Gaussian error linear unit by the error function."""

    def forward(self, x: Stream) -> Stream:
        result: Tensor = self.fc2(functional.gelu(self.fc1(x)))
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
        self.mlp = ExactFeedForward(channels, config.hidden)
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


class RARAdapter(TokenPrediction):
    """What the library needs to know of RAR. Steps are positions of the sequence."""

    family = "rar"

    def __init__(self, config: RARConfig, tokenizer: MaskGITTokenizer) -> None:
        self.config = config
        self.steps = {"": config.tokens + 1}
        self.num_classes = config.num_classes
        # Samples are returned as latent maps, which only the codebook can make of tokens.
        self.codebook = tokenizer.quantize

    def sites(self, network: nn.Module) -> list[Site]:
        """AdaLN, qkv, proj, fc1, fc2 of each block, then the head's AdaLN and the head.

        The modulation differs from position to position, so its sites have tokens too.
        """
        sites = []
        for i in range(self.config.depth):
            found = block_sites(f"blocks.{i}", runs=RUNS)
            sites += [replace(site, tokens=True) for site in found]
        sites = [site if site.role is Role.ADA else replace(site, runs=RUNS) for site in sites]
        return [*sites, Site("head_ada", Role.ADA), Site("head", Role.HEAD, runs=(0,))]

    def folds(self, network: nn.Module) -> list[Fold]:
        """AdaLN into qkv, fc1 and head; values into proj; GELU into fc2 takes nothing."""
        folds, head = [], self.config.embed_dim // self.config.num_heads
        for i in range(self.config.depth):
            folds += block_folds(f"blocks.{i}", head=head, scale_parts=(1, 4), shift_parts=(0, 3))
        push = modulation_push("head_ada", "head_norm", 0, 1)
        return [*folds, Fold("head_norm", ("head",), AFFINE, push)]

    def blocks(self, network: nn.Module) -> list[Block]:
        """The transformer blocks, a chain."""
        return chain([f"blocks.{i}" for i in range(self.config.depth)])

    def trajectory(
        self,
        network: nn.Module,
        conditions: Tensor,
        randomness: Randomness,
        *,
        guidance: float = 16.0,
        guidance_power: float = 2.75,
        top_k: int = 0,
        top_p: float = 0.0,
        temperature: float = 1.0,
    ) -> Trajectory:
        """Token by token in raster order; returns the map of the tokens' codes.

        Guidance u + g (c - u) rises from g = 1 to nearly g = `guidance`: at token i of n,

            g = 1 + (guidance - 1) (1 - cos(pi (i / n)^power)) / 2

        A power of 0 keeps it constant; `guidance` 1 (or 0) goes without.
        """
        config, labels, count = self.config, conditions, self.config.tokens
        guided = guidance not in (0, 1)
        if guided:
            labels = torch.cat([conditions, torch.full_like(conditions, config.num_classes)])
        stores = caches(config.depth, count + 1)
        inputs, first, chosen = labels.new_zeros(len(labels), 0), 0, []
        for token in range(count):
            step = torch.arange(first, token + PREFIX)[None]
            logits = yield Call("", step, (inputs, labels, first), {"caches": stores})
            if guided:
                rise = (1 - math.cos(math.pi * (token / count) ** guidance_power)) / 2
                logits = guide(logits, (guidance - 1) * rise)
            noise = randomness.gumbel(1, config.vocabulary)
            picked = pick_tokens(logits / temperature, noise, top_k=top_k, top_p=top_p)
            chosen.append(picked)
            inputs, first = picked.repeat(len(labels) // len(picked), 1), token + PREFIX
        return self.codebook.lookup(torch.cat(chosen, dim=1))

    def replay(self, calls: Sequence[Call]) -> list[Call]:
        """One teacher-forced call in place of a cached trajectory, under the causal mask."""
        tokens = torch.cat([call.args[0] for call in calls], dim=1)
        step = torch.cat([call.step for call in calls], dim=1)
        return [Call("", step, (tokens, calls[0].args[1], 0))]

    def lesson(
        self, tokenizer: nn.Module, images: Tensor, labels: Tensor, randomness: Randomness
    ) -> Lesson:
        """The teacher-forced call of encoded images, in raster order; the target is their tokens.

        Training draws random orders for some of the images: `token_lesson`.
        """
        assert isinstance(tokenizer, MaskGITTokenizer)
        with torch.no_grad():
            return self.token_lesson(tokenizer.tokens(images), labels)

    def token_lesson(self, tokens: Tensor, labels: Tensor, order: Tensor | None = None) -> Lesson:
        """The teacher-forced call of images already encoded, in raster order or in `order`.

        Row b of `order` (batch, token) lists the raster places of image b in the order in which
        they are to be predicted. The target is in that order too.
        """
        order = torch.arange(self.config.tokens)[None] if order is None else order
        target = tokens.gather(1, order.expand_as(tokens))
        step = torch.arange(self.steps[""])[None]
        return Lesson.of_call(Call("", step, (target[:, :-1], labels, 0, order)), target)

    def decode(self, tokenizer: nn.Module, latents: Tensor) -> Tensor:
        """uint8 images from the map of codes: 255 times [0, 1], truncated as released."""
        assert isinstance(tokenizer, MaskGITTokenizer)
        images = tokenizer.decode(latents).float().clamp(0, 1) * 255
        return images.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def released_keys(network: nn.Module) -> KeyMap:
    """The sources of each tensor in rar_b.bin to rar_xxl.bin.

    One table holds tokens, a mask token, the classes and "no class", in that order.
    """
    assert isinstance(network, RAR)
    config, tokens = network.config, network.config.tokens
    vocabulary, classes = config.vocabulary, config.num_classes + 1
    special = {
        "token_embed.weight": _rows("embeddings.weight", 0, 0, vocabulary),
        "class_embed.weight": _rows("embeddings.weight", 0, vocabulary + 1, classes),
        "start": Source(("cls_token",)),
        "position": _rows("pos_embed", 1, 0, PREFIX + tokens),
        "target": _rows("target_aware_pos_embed", 1, PREFIX, tokens),
        "time": _rows("timesteps_embeddings", 1, 0, tokens + 1),
    }
    modules = {
        "head": "lm_head",
        "head_ada": "adaln_before_head.adaLN_modulation.1",
        **{f"blocks.{i}.ada": f"blocks.{i}.adaLN_modulation.1" for i in range(config.depth)},
    }
    result = {}
    for name, _ in network.named_parameters():
        module, _, field = name.rpartition(".")
        released = f"{modules.get(module, module)}.{field}"
        result[name] = special.get(name, Source((released,)))
    return result


def _rows(key: str, axis: int, start: int, count: int) -> Source:
    return Source((key,), partial(torch.narrow, dim=axis, start=start, length=count))


def _tokenizer(config: RARConfig) -> MaskGITTokenizer:
    return MaskGITTokenizer(MaskGITConfig(vocabulary=config.vocabulary))


def _tiny_tokenizer(config: RARConfig) -> MaskGITTokenizer:
    return MaskGITTokenizer(MaskGITConfig(8, (1, 1, 2, 2), 1, 8, config.vocabulary, 4))


RAR_FAMILY = Family(
    name="rar",
    style="autoregressive",
    sizes={
        "b": RARConfig(768, 24, 16, 3072),
        "l": RARConfig(1024, 24, 16, 4096),
        "xl": RARConfig(1280, 32, 16, 5120),
        "xxl": RARConfig(1408, 40, 16, 6144),
    },
    tiny_config=RARConfig(16, 2, 2, 64, num_classes=10, vocabulary=32, side=2),
    tiny_tokenizer=_tiny_tokenizer,
    config=RARConfig,
    network=RAR,
    adapter=RARAdapter,
    tokenizer=_tokenizer,
    sampler={"guidance": 16.0, "guidance_power": 2.75, "temperature": 1.0},
    samplers={
        "l": {"guidance": 15.5, "guidance_power": 2.5, "temperature": 1.02},
        "xl": {"guidance": 6.9, "guidance_power": 1.5, "temperature": 1.02},
        "xxl": {"guidance": 8.0, "guidance_power": 1.2, "temperature": 1.02},
    },
    layouts=(Layout("rar", released_keys),),
    tokenizer_layouts=(MASKGIT_LAYOUT,),
)
