"""LlamaGen: next-token image generation with a plain Llama.

Sun et al., "Autoregressive Model Beats Diffusion: Llama for Scalable Image Generation",
arXiv 2406.06525, class-conditional. The class embedding is the first token; tokens of the image
follow in raster order. `regions` above one arranges them as PAR does (`par.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bitscape.models.arrangement import Arrangement, parallel
from bitscape.models.autoencoder import to_uint8
from bitscape.models.checkpoint import KeyMap, Layout, Source
from bitscape.models.family import Family
from bitscape.models.llama import (
    LlamaBlock,
    RMSNorm,
    llama_folds,
    llama_sites,
    rotary,
    scale_fold,
)
from bitscape.models.sampling import doubled, guide, pick_tokens
from bitscape.models.token_prediction import TokenPrediction
from bitscape.models.vq import VQ_LAYOUT, VQTokenizer, tiny_vq, vq16
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
    constant_step,
)

Logits = Float[Tensor, "batch token code"]


@dataclass(frozen=True)
class LlamaGenConfig:
    """Sizes of a LlamaGen transformer; `side` is the height and width of its token map."""

    embed_dim: int
    depth: int
    num_heads: int
    num_classes: int = 1000
    vocabulary: int = 16384
    side: int = 16
    regions: int = 1
    hidden_multiple: int = 256
    label_dropout: float = 0.1

    @property
    def hidden(self) -> int:
        """Width of the feed-forward layer: 8/3 of the embedding, rounded up to the multiple."""
        return -(-(8 * self.embed_dim // 3) // self.hidden_multiple) * self.hidden_multiple

    @cached_property
    def arrangement(self) -> Arrangement:
        """Which cell each position reads and writes."""
        return parallel(self.side, self.regions)


class LlamaGen(nn.Module):
    """Logits of every token, from the class and the tokens before it."""

    reads: Tensor
    steps: Tensor

    def __init__(self, config: LlamaGenConfig) -> None:
        super().__init__()
        self.config = config
        channels, arrangement = config.embed_dim, config.arrangement
        self.class_embed = nn.Embedding(config.num_classes + 1, channels)
        self.token_embed = nn.Embedding(config.vocabulary, channels)
        extras = len(arrangement.fixed) - 1
        self.extra_embed = nn.Embedding(extras, channels) if extras else None
        self.blocks = nn.ModuleList(
            LlamaBlock(channels, config.num_heads, config.hidden) for _ in range(config.depth)
        )
        self.norm = RMSNorm(channels)
        self.head = nn.Linear(channels, config.vocabulary, bias=False)
        # Integers, so that angles and mask stay exact when the network is cast to bf16.
        self.register_buffer("reads", torch.tensor(arrangement.reads), persistent=False)
        self.register_buffer("steps", torch.tensor(arrangement.steps), persistent=False)
        self._initialise()

    def forward(
        self,
        tokens: Int[Tensor, "batch token"],
        labels: Int[Tensor, " batch"],
        first: int = 0,
        caches: Sequence[Cache] | None = None,
    ) -> Logits:
        """Logits at the positions from `first` on, whose inputs are `tokens`.

        Position 0 reads the class in place of its token; label `num_classes` is "no class". Without
        caches `first` must be 0 and each position sees its own and earlier steps; with caches the
        inputs are one whole step, and everything before it is in the caches.
        """
        stop = first + tokens.shape[1]
        x = self._embed(tokens, labels, first)
        width = self.config.embed_dim // self.config.num_heads
        table = rotary(self.reads[first:stop], self.config.side, width)
        mask = self._mask(stop).to(x.dtype) if caches is None else None
        for i, block in enumerate(self.blocks):
            x = block(x, table, mask, None if caches is None else caches[i])
        result: Tensor = self.head(self.norm(x))
        return result

    def _mask(self, stop: int) -> Tensor:
        later = self.steps[:stop, None] < self.steps[None, :stop]
        return torch.zeros(later.shape, device=later.device).masked_fill(later, -torch.inf)

    def _embed(self, tokens: Tensor, labels: Tensor, first: int) -> Tensor:
        """Embedded tokens; class and learned embeddings where the arrangement reads no token."""
        x: Tensor = self.token_embed(tokens)
        inside = range(first, first + tokens.shape[1])
        fixed = self.config.arrangement.fixed
        rows = [row for row, position in enumerate(fixed) if position in inside]
        if not rows:
            return x
        opening = self.class_embed(labels).unsqueeze(1)
        if self.extra_embed is not None:
            learned = self.extra_embed.weight.expand(len(x), -1, -1)
            opening = torch.cat([opening, learned], dim=1)
        places = torch.tensor([fixed[row] - first for row in rows], device=x.device)
        return x.index_copy(1, places, opening[:, rows])

    @torch.no_grad()
    def _initialise(self) -> None:
        """The released training's initialisation: normal weights, a head of zeros."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(self.head.weight)


class LlamaGenAdapter(TokenPrediction):
    """What the library needs to know of LlamaGen and PAR. Steps are calls of the sampler."""

    def __init__(
        self, config: LlamaGenConfig, tokenizer: VQTokenizer, family: str = "llamagen"
    ) -> None:
        self.config = config
        self.family = family
        self.steps = {"": len(config.arrangement.spans)}
        self.num_classes = config.num_classes
        # The trajectory ends with the codes of the tokens, which the tokenizer holds.
        self.codebook = tokenizer

    def sites(self, network: nn.Module) -> list[Site]:
        """qkv, proj, fc1, fc2 of each block, then the head."""
        runs = self.config.arrangement.runs
        sites = [s for i in range(self.config.depth) for s in llama_sites(f"blocks.{i}", runs)]
        return [*sites, Site("head", Role.HEAD, runs=runs)]

    def folds(self, network: nn.Module) -> list[Fold]:
        """RMSNorm into qkv, fc1 and head; values into proj; the linear half of SwiGLU into fc2."""
        head = self.config.embed_dim // self.config.num_heads
        folds = [f for i in range(self.config.depth) for f in llama_folds(f"blocks.{i}", head)]
        return [*folds, scale_fold("norm", "norm", "head")]

    def blocks(self, network: nn.Module) -> list[Block]:
        """The transformer blocks, a chain."""
        return chain([f"blocks.{i}" for i in range(self.config.depth)])

    def trajectory(
        self,
        network: nn.Module,
        conditions: Tensor,
        randomness: Randomness,
        *,
        guidance: float = 2.0,
        top_k: int = 0,
        top_p: float = 1.0,
        temperature: float = 1.0,
    ) -> Trajectory:
        """Step by step: logits, guidance, a token for each cell that the step writes.

        `guidance` g combines u + g (c - u), none at 1 (or 0), and doubles the batch. Returns the
        map of codes.
        """
        config, arrangement = self.config, self.config.arrangement
        guided = guidance not in (0, 1)
        labels = doubled(conditions, config.num_classes) if guided else conditions
        cells = len(arrangement.writes)
        stores = caches(config.depth, cells)
        # One column more: the index of "reads nothing" is the last, which stays zero.
        tokens = conditions.new_zeros(len(conditions), cells + 1)
        for step, span in enumerate(arrangement.spans):
            inputs = tokens[:, arrangement.reads[span]].repeat(len(labels) // len(conditions), 1)
            logits = yield Call(
                "", constant_step(step), (inputs, labels, span.start), {"caches": stores}
            )
            if guided:
                logits = guide(logits, guidance - 1)
            noise = randomness.gumbel(span.stop - span.start, config.vocabulary)
            picked = pick_tokens(logits / temperature, noise, top_k=top_k, top_p=top_p)
            tokens[:, arrangement.writes[span]] = picked
        return self.codebook.lookup(tokens[:, :cells])

    def replay(self, calls: Sequence[Call]) -> list[Call]:
        """One teacher-forced call in place of a cached trajectory, under the mask of steps."""
        inputs = torch.cat([call.args[0] for call in calls], dim=1)
        step = torch.cat([call.step.expand(1, call.args[0].shape[1]) for call in calls], dim=1)
        return [Call("", step, (inputs, calls[0].args[1], 0))]

    @torch.no_grad()
    def encode(self, tokenizer: nn.Module, images: Tensor) -> Int[Tensor, "batch token"]:
        """The tokens in raster order."""
        assert isinstance(tokenizer, VQTokenizer)
        return tokenizer.tokens(images)

    def lesson(self, encoded: Tensor, labels: Tensor, randomness: Randomness) -> Lesson:
        """The teacher-forced call of encoded images; the target is their tokens."""
        return self.token_lesson(encoded, labels)

    def token_lesson(self, tokens: Int[Tensor, "batch cell"], labels: Tensor) -> Lesson:
        """The teacher-forced call of images already encoded to tokens in raster order."""
        arrangement = self.config.arrangement
        inputs = functional.pad(tokens, (0, 1))[:, arrangement.reads]
        call = Call("", torch.tensor(arrangement.steps)[None], (inputs, labels, 0))
        return Lesson.of_call(call, tokens[:, arrangement.writes])

    def decode(self, tokenizer: nn.Module, latents: Tensor) -> Tensor:
        """uint8 images from the map of codes, converted as the released script does."""
        assert isinstance(tokenizer, VQTokenizer)
        return to_uint8(tokenizer.decode(latents), rounded=True)


def released_keys(module: nn.Module) -> KeyMap:
    """The key map of the released networks, PAR's learned tokens included."""
    assert isinstance(module, LlamaGen)
    keys = {
        "class_embed.weight": Source(("cls_embedding.embedding_table.weight",)),
        "token_embed.weight": Source(("tok_embeddings.weight",)),
        "norm.weight": Source(("norm.weight",)),
        "head.weight": Source(("output.weight",)),
    }
    if module.extra_embed is not None:
        keys["extra_embed.weight"] = Source(("spe_tok_embeddings.special_embeddings.weight",))
    for i in range(module.config.depth):
        ours, theirs = f"blocks.{i}", f"layers.{i}"
        keys |= {
            f"{ours}.norm1.weight": Source((f"{theirs}.attention_norm.weight",)),
            f"{ours}.attn.qkv.weight": Source((f"{theirs}.attention.wqkv.weight",)),
            f"{ours}.attn.proj.weight": Source((f"{theirs}.attention.wo.weight",)),
            f"{ours}.norm2.weight": Source((f"{theirs}.ffn_norm.weight",)),
            f"{ours}.mlp.fc1.weight": Source(
                (f"{theirs}.feed_forward.w1.weight", f"{theirs}.feed_forward.w3.weight"),
                lambda gate, up: torch.cat([gate, up]),
            ),
            f"{ours}.mlp.fc2.weight": Source((f"{theirs}.feed_forward.w2.weight",)),
        }
    return keys


RELEASED = Layout(
    name="released",
    keys=released_keys,
    nested=("model", "module", "state_dict"),
    ignored=lambda key: key == "freqs_cis",
)

WIDTHS = {
    "B": (768, 12, 12),
    "L": (1024, 24, 16),
    "XL": (1280, 36, 20),
    "XXL": (1536, 48, 24),
    "3B": (3200, 24, 32),
}
"""Size to (width, depth, heads)."""

GUIDANCE = {"B": 2.0, "L": 2.0, "XL": 1.75, "XXL": 1.75, "3B": 1.65}

LLAMAGEN_FAMILY = Family(
    name="llamagen",
    style="autoregressive",
    sizes={
        f"{size}-{16 * side}": LlamaGenConfig(*widths, side=side)
        for size, widths in WIDTHS.items()
        for side in (16, 24)
    },
    tiny_config=LlamaGenConfig(16, 2, 2, num_classes=10, vocabulary=32, side=4, hidden_multiple=8),
    tiny_tokenizer=lambda config: VQTokenizer(tiny_vq(config.vocabulary)),
    config=LlamaGenConfig,
    network=LlamaGen,
    adapter=LlamaGenAdapter,
    tokenizer=lambda config: VQTokenizer(vq16()),
    sampler={"guidance": 2.0, "top_k": 0, "top_p": 1.0, "temperature": 1.0},
    samplers={
        f"{size}-{pixels}": {"guidance": guidance}
        for size, guidance in GUIDANCE.items()
        for pixels in (256, 384)
    },
    layouts=(RELEASED,),
    tokenizer_layouts=(VQ_LAYOUT,),
)
