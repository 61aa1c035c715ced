"""VAR: next-scale autoregressive image generation.

Tian et al., "Visual Autoregressive Modeling: Scalable Image Generation via Next-Scale Prediction",
arXiv 2404.02905. A decoder-only transformer predicts all tokens of one scale at a time, given all
coarser scales; each block is modulated by the class through AdaLN. The architecture is that of the
released d16 to d36 networks. Ours differs in names, and in one fused qkv bias whose key third is
zero and stays zero.

Released files (huggingface.co/FoundationVision/var): var_d16.pth, var_d20.pth, var_d24.pth,
var_d30.pth for 256 px, var_d36.pth for 512 px, all with the tokenizer vae_ch160v4096z32.pth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bitscape.models.autoencoder import AutoencoderConfig, to_uint8
from bitscape.models.checkpoint import KeyMap, Layout, Source
from bitscape.models.family import Family
from bitscape.models.layers import (
    AFFINE,
    SHIFT,
    FeedForward,
    Modulate,
    SelfAttention,
    block_folds,
    block_sites,
    modulation_push,
    offset_push,
)
from bitscape.models.multiscale import (
    VAR_TOKENIZER_LAYOUTS,
    MultiScaleConfig,
    MultiScaleTokenizer,
)
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
    constant_step,
)

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
        # The shared modulation, or the activated class embedding for this block's own layer.
        if self.ada is None:
            assert self.offset is not None
            modulation = condition + self.offset
        else:
            modulation = self.ada(condition)
        g1, g2, a1, a2, h1, h2 = modulation.chunk(6, dim=-1)
        x = torch.addcmul(x, self.attn(self.norm1(x, a1, h1), mask, cache), g1.unsqueeze(1))
        return torch.addcmul(x, self.mlp(self.norm2(x, a2, h2)), g2.unsqueeze(1))

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
        channels, counts = config.embed_dim, [pn * pn for pn in config.patch_nums]
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


class VARAdapter(TokenPrediction):
    """What the library needs to know of VAR. Steps are scales."""

    family = "var"

    def __init__(self, config: VARConfig, tokenizer: MultiScaleTokenizer) -> None:
        self.config = config
        self.steps = {"": len(config.patch_nums)}
        self.num_classes = config.num_classes
        # A family's trajectory needs the codebook between two calls, as released samplers do.
        self.codebook = tokenizer.quantizer

    def sites(self, network: nn.Module) -> list[Site]:
        """AdaLN, qkv, proj, fc1, fc2 of each block, then the head's AdaLN and the head."""
        shared = self.config.shared_aln
        sites = [Site("shared_ada", Role.ADA, tokens=False)] if shared else []
        for i in range(self.config.depth):
            # A block with a shared modulation has no AdaLN of its own, the first of these sites.
            sites += block_sites(f"blocks.{i}", runs=(0, 1))[1 if shared else 0 :]
        return [
            *sites,
            Site("head_ada", Role.ADA, tokens=False),
            Site("head", Role.HEAD, runs=(0,)),
        ]

    def folds(self, network: nn.Module) -> list[Fold]:
        """AdaLN into qkv, fc1 and head; values into proj; GELU into fc2 takes nothing.

        A shared modulation takes a shift alone, into each block's offset: its rows serve every
        block, so that none can scale them.
        """
        folds, head = [], self.config.embed_dim // self.config.num_heads
        for i in range(self.config.depth):
            n1, values, n2, gelu = block_folds(
                f"blocks.{i}", head=head, scale_parts=(2, 3), shift_parts=(4, 5)
            )
            if self.config.shared_aln:
                n1 = replace(n1, takes=SHIFT, push=offset_push(f"blocks.{i}.offset", 4))
                n2 = replace(n2, takes=SHIFT, push=offset_push(f"blocks.{i}.offset", 5))
            folds += [n1, values, n2, gelu]
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
        guidance: float = 1.5,
        top_k: int = 0,
        top_p: float = 0.0,
        temperature: float = 1.0,
    ) -> Trajectory:
        """Scale by scale: logits, guidance rising linearly with the scale, a token for each cell.

        Guidance t combines (1 + t) conditional - t unconditional logits, t = guidance * scale /
        last scale, and doubles the batch. Returns the reconstructed latent map.
        """
        config, batch, labels = self.config, len(conditions), conditions
        if guidance:
            labels = torch.cat([conditions, torch.full_like(conditions, config.num_classes)])
        stores = caches(config.depth, sum(pn * pn for pn in config.patch_nums))
        first, last = 0, len(config.patch_nums) - 1
        shape = (len(labels), config.patch_nums[0] ** 2, config.latent_channels)
        inputs = self.codebook.embedding.weight.new_zeros(shape)
        f = inputs.new_zeros(batch, config.latent_channels, self.codebook.side, self.codebook.side)
        for scale, pn in enumerate(config.patch_nums):
            logits = yield Call(
                "", constant_step(scale), (inputs, labels, first), {"caches": stores}
            )
            if guidance:
                logits = guide(logits, guidance * scale / max(last, 1))
            noise = randomness.gumbel(pn * pn, config.vocabulary)
            tokens = pick_tokens(logits / temperature, noise, top_k=top_k, top_p=top_p)
            f = f + self.codebook.residual(scale, tokens)
            first += pn * pn
            if scale < last:
                inputs = self.codebook.shrink(f, scale + 1)
                inputs = inputs.repeat(len(labels) // batch, 1, 1)
        return f

    def replay(self, calls: Sequence[Call]) -> list[Call]:
        """One teacher-forced call in place of a cached trajectory, under the block-causal mask."""
        inputs = torch.cat([call.args[0] for call in calls], dim=1)
        step = torch.cat([call.step.expand(1, call.args[0].shape[1]) for call in calls], dim=1)
        return [Call("", step, (inputs, calls[0].args[1], 0))]

    def lesson(
        self, tokenizer: nn.Module, images: Tensor, labels: Tensor, randomness: Randomness
    ) -> Lesson:
        """The teacher-forced call of encoded images; the target is their tokens."""
        assert isinstance(tokenizer, MultiScaleTokenizer)
        with torch.no_grad():
            tokens = tokenizer.tokens(images)
        return self.token_lesson(tokens, labels)

    def token_lesson(self, tokens: Sequence[Tensor], labels: Tensor) -> Lesson:
        """The teacher-forced call of images already encoded to the tokens of each scale."""
        with torch.no_grad():
            rest = self.codebook.teacher_inputs(tokens)
        opening = rest.new_zeros(len(rest), self.config.patch_nums[0] ** 2, rest.shape[2])
        counts = torch.tensor([pn * pn for pn in self.config.patch_nums])
        step = torch.repeat_interleave(torch.arange(len(self.config.patch_nums)), counts)[None]
        call = Call("", step, (torch.cat([opening, rest], dim=1), labels, 0))
        return Lesson.of_call(call, torch.cat(list(tokens), dim=1))

    def decode(self, tokenizer: nn.Module, latents: Tensor) -> Tensor:
        """uint8 images from the latent map."""
        assert isinstance(tokenizer, MultiScaleTokenizer)
        return to_uint8(tokenizer.decode(latents))


_RELEASED = {
    "class_embed.weight": "class_emb.weight",
    "level_embed.weight": "lvl_embed.weight",
    "start": "pos_start",
    "position": "pos_1LC",
    "shared_ada": "shared_ada_lin.1",
    "head_ada": "head_nm.ada_lin.1",
    "mlp": "ffn",
    "ada": "ada_lin.1",
}
_COMPUTED = ("lvl_1L", "attn_bias_for_masking")


def released_keys(network: nn.Module) -> KeyMap:
    """The key map of the released files."""
    assert isinstance(network, VAR)
    return {name: _source(name) for name, _ in network.named_parameters()}


def _source(name: str) -> Source:
    head, _, tail = name.partition(".attn.")
    if name in _RELEASED:
        return Source((_RELEASED[name],))
    match tail:
        case "qkv.weight":
            return Source((f"{head}.attn.mat_qkv.weight",))
        case "qkv.bias":
            return Source((f"{head}.attn.q_bias", f"{head}.attn.v_bias"), _query_and_value_bias)
        case "log_temperature":
            return Source((f"{head}.attn.scale_mul_1H11",), lambda t: t.squeeze(0))
    if name.endswith(".offset"):
        return Source((name.removesuffix("offset") + "ada_gss",), torch.flatten)
    return Source((".".join(_RELEASED.get(word, word) for word in name.split(".")),))


def _query_and_value_bias(query: Tensor, value: Tensor) -> Tensor:
    """The fused bias; the file's bias of the keys is a buffer of zeros."""
    return torch.cat([query, torch.zeros_like(query), value])


VAR_LAYOUTS = (
    Layout(
        "VAR",
        released_keys,
        # What the official training script saves holds the network beside its optimiser.
        nested=("trainer.var_wo_ddp",),
        ignored=lambda key: key in _COMPUTED or key.endswith(".attn.zero_k_bias"),
    ),
)


def _tokenizer(config: VARConfig) -> MultiScaleTokenizer:
    autoencoder = AutoencoderConfig(160, (1, 1, 2, 2, 4), 2, config.latent_channels)
    return MultiScaleTokenizer(MultiScaleConfig(autoencoder, config.vocabulary, config.patch_nums))


def _tiny_tokenizer(config: VARConfig) -> MultiScaleTokenizer:
    autoencoder = AutoencoderConfig(8, (1, 2, 2), 1, config.latent_channels, 4)
    return MultiScaleTokenizer(MultiScaleConfig(autoencoder, config.vocabulary, config.patch_nums))


VAR_FAMILY = Family(
    name="var",
    style="autoregressive",
    sizes={
        **{f"d{depth}": VARConfig(64 * depth, depth, depth) for depth in (16, 20, 24, 30)},
        "d36": VARConfig(
            64 * 36, 36, 36, patch_nums=(1, 2, 3, 4, 6, 9, 13, 18, 24, 32), shared_aln=True
        ),
    },
    tiny_config=VARConfig(
        16, 2, 2, num_classes=10, vocabulary=32, latent_channels=8, patch_nums=(1, 2, 4)
    ),
    tiny_tokenizer=_tiny_tokenizer,
    config=VARConfig,
    network=VAR,
    adapter=VARAdapter,
    tokenizer=_tokenizer,
    sampler={"guidance": 1.5, "top_k": 900, "top_p": 0.96},
    layouts=VAR_LAYOUTS,
    tokenizer_layouts=VAR_TOKENIZER_LAYOUTS,
)
