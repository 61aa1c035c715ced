"""RAR: randomized autoregressive image generation.

Yu et al., "Randomized Autoregressive Visual Generation", arXiv 2411.00776. A decoder-only
transformer predicts one token at a time. While training, the order of the tokens may be permuted;
every position is therefore told where its target lies by a second, target-aware positional
embedding (section 3.2). Images are sampled in raster order. The class stands in the sequence and
also, with an embedding of the position added, modulates every block through AdaLN.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Int
from torch import Tensor, nn

from bitscape.models.checkpoint import KeyMap, Layout, Source
from bitscape.models.family import Family
from bitscape.models.layers import block_sites, dit_folds, head_fold
from bitscape.models.maskgit import MASKGIT_LAYOUT, MaskGITConfig, MaskGITTokenizer
from bitscape.models.rar_network import PREFIX, RAR, RARConfig
from bitscape.models.sampling import doubled, guide, pick_tokens
from bitscape.models.token_prediction import TokenPrediction
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
)

RUNS = (0, 1, PREFIX)
"""Start, class and image tokens feed layers with inputs of their own kind."""


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
        head = self.config.embed_dim // self.config.num_heads
        return [*dit_folds(self.config.depth, head), head_fold()]

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
        config, count, guided = self.config, self.config.tokens, guidance not in (0, 1)
        labels = doubled(conditions, config.num_classes) if guided else conditions
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

    @torch.no_grad()
    def encode(self, tokenizer: nn.Module, images: Tensor) -> Int[Tensor, "batch token"]:
        """The tokens in raster order."""
        assert isinstance(tokenizer, MaskGITTokenizer)
        return tokenizer.tokens(images)

    def lesson(self, encoded: Tensor, labels: Tensor, randomness: Randomness) -> Lesson:
        """The teacher-forced call of encoded images, in raster order; the target is their tokens.

        Training draws random orders for some of the images: `token_lesson`.
        """
        return self.token_lesson(encoded, labels)

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
