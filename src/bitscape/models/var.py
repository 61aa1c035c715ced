"""VAR: next-scale autoregressive image generation.

Tian et al., "Visual Autoregressive Modeling: Scalable Image Generation via Next-Scale Prediction",
arXiv 2404.02905. A decoder-only transformer predicts all tokens of one scale at a time, given all
coarser scales; each block is modulated by the class through AdaLN.

Released files (huggingface.co/FoundationVision/var): var_d16.pth, var_d20.pth, var_d24.pth,
var_d30.pth for 256 px, var_d36.pth for 512 px, all with the tokenizer vae_ch160v4096z32.pth.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor, nn

from bitscape.models.autoencoder import AutoencoderConfig, to_uint8
from bitscape.models.checkpoint import KeyMap, Layout, Source
from bitscape.models.family import Family
from bitscape.models.layers import SHIFT, block_folds, block_sites, head_fold, offset_push
from bitscape.models.multiscale import (
    VAR_TOKENIZER_LAYOUTS,
    MultiScaleConfig,
    MultiScaleTokenizer,
)
from bitscape.models.sampling import doubled, guide, pick_tokens
from bitscape.models.token_prediction import TokenPrediction
from bitscape.models.var_network import VAR, VARConfig
from bitscape.structure import (
    Block,
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
        return [*folds, head_fold()]

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
        config, batch = self.config, len(conditions)
        labels = doubled(conditions, config.num_classes) if guidance else conditions
        stores = caches(config.depth, sum(config.counts))
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

    @torch.no_grad()
    def encode(self, tokenizer: nn.Module, images: Tensor) -> Int[Tensor, "batch token"]:
        """The tokens of all scales, the coarsest first."""
        assert isinstance(tokenizer, MultiScaleTokenizer)
        return torch.cat(list(tokenizer.tokens(images)), dim=1)

    def lesson(self, encoded: Tensor, labels: Tensor, randomness: Randomness) -> Lesson:
        """The teacher-forced call of encoded images; the target is their tokens."""
        return self.token_lesson(encoded, labels)

    def token_lesson(self, tokens: Int[Tensor, "batch token"], labels: Tensor) -> Lesson:
        """The teacher-forced call of images already encoded to the tokens of all scales."""
        with torch.no_grad():
            rest = self.codebook.teacher_inputs(tokens.split(self.config.counts, dim=1))
        opening = rest.new_zeros(len(rest), self.config.patch_nums[0] ** 2, rest.shape[2])
        counts = torch.tensor(self.config.counts)
        step = torch.repeat_interleave(torch.arange(len(self.config.patch_nums)), counts)[None]
        call = Call("", step, (torch.cat([opening, rest], dim=1), labels, 0))
        return Lesson.of_call(call, tokens)

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
