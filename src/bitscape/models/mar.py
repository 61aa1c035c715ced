"""MAR: masked autoregressive generation of continuous tokens, each drawn by a small diffusion.

Li et al., "Autoregressive Image Generation without Vector Quantization", arXiv 2406.11838. A masked
autoencoder reads the known tokens and gives a vector for every unknown one; a diffusion head turns
the vectors of the next few, in a random order, into tokens. The architecture is that of the
released base, large and huge networks, whose training dropout is left out.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitscape.models.ancestral import Ancestral, CosineDiffusion
from bitscape.models.autoencoder import AutoencoderConfig, LatentTokenizer, to_uint8
from bitscape.models.checkpoint import Layout
from bitscape.models.family import Family
from bitscape.models.kl import KL16, KL_LAYOUTS, KLTokenizer
from bitscape.models.labels import drop_labels
from bitscape.models.layers import (
    AFFINE,
    modulation_push,
    no_push,
    norm_push,
    value_push,
    value_turn,
)
from bitscape.models.mar_keys import mar_keys
from bitscape.models.mar_network import MAR, MARConfig, Positions, put, take
from bitscape.models.multiscale import MultiScaleConfig, MultiScaleTokenizer
from bitscape.models.sampling import doubled, guide
from bitscape.structure import (
    Absorb,
    Block,
    Call,
    Fold,
    Lesson,
    Randomness,
    Role,
    Site,
    Style,
    Trajectory,
    chain,
    constant_step,
)

MASKED = 0.867
"""The mean share of masked tokens in training: 1 - 0.25 |normal|, cut off at 0.7."""


def masked_counts(length: int, iterations: int) -> list[int]:
    """How many of `length` tokens are unknown before each iteration, and none after the last.

    floor(length cos(pi/2 i / iterations)), but at least one token fewer each time.
    """
    if not 1 <= iterations <= length:
        raise ValueError(
            f"{iterations} iterations are out of range: choose 1 to {length}, a token or more each"
        )
    counts = [length]
    for i in range(1, iterations):
        wanted = math.floor(length * math.cos(math.pi / 2 * i / iterations))
        counts.append(max(1, min(counts[-1] - 1, wanted)))
    return [*counts, 0]


class MARAdapter:
    """What the library needs to know of MAR. Steps are iterations, for the head timesteps.

    A sampler with other iterations reads the table row of the nearest default one, by the number of
    unknown tokens.
    """

    family = "mar"
    style: Style = "autoregressive"
    loss_name = "denoising_loss"
    discrete = False

    def __init__(self, config: MARConfig) -> None:
        self.config = config
        self.diffusion = CosineDiffusion()
        self.steps = {"backbone": config.iterations, "head": self.diffusion.timesteps}
        self.num_classes = config.num_classes

    def sites(self, network: nn.Module) -> list[Site]:
        """qkv, proj, fc1, fc2 of each block, the linear between encoder and decoder, the head's.

        The embeddings and the head's output stay in full precision.
        """
        sites = []
        for block in self._transformer_blocks():
            sites += [
                Site(f"{block}.attn.qkv", Role.QKV),
                Site(f"{block}.attn.proj", Role.PROJ),
                Site(f"{block}.mlp.fc1", Role.FC1),
                Site(f"{block}.mlp.fc2", Role.FC2),
            ]
        between = 4 * self.config.depth
        sites.insert(between, Site("backbone.unmask.embed", Role.PROJ))
        for block in self._head_blocks():
            sites += [
                Site(f"{block}.ada", Role.ADA),
                Site(f"{block}.fc1", Role.FC1),
                Site(f"{block}.fc2", Role.FC2),
            ]
        return sites

    def folds(self, network: nn.Module) -> list[Fold]:
        """Layer norms into qkv, fc1 and the decoder, values into proj, the head's AdaLN into fc1.

        GELU and SiLU into fc2 take nothing.
        """
        folds, width = [], self.config.embed_dim // self.config.num_heads
        for block in self._transformer_blocks():
            qkv, proj = f"{block}.attn.qkv", f"{block}.attn.proj"
            norm1, norm2 = f"{block}.norm1", f"{block}.norm2"
            folds += [
                Fold(norm1, (qkv,), AFFINE, norm_push(norm1)),
                Fold(
                    f"{block}.values",
                    (proj,),
                    AFFINE | {Absorb.ROTATION},
                    value_push(qkv),
                    value_turn(qkv),
                    width,
                ),
                Fold(norm2, (f"{block}.mlp.fc1",), AFFINE, norm_push(norm2)),
                Fold(f"{block}.gelu", (f"{block}.mlp.fc2",), frozenset(), no_push),
            ]
        between = "backbone.unmask.norm"
        folds.append(Fold(between, ("backbone.unmask.embed",), AFFINE, norm_push(between)))
        for block in self._head_blocks():
            push = modulation_push(f"{block}.ada", f"{block}.norm", 1, 0)
            folds += [
                Fold(f"{block}.norm", (f"{block}.fc1",), AFFINE, push),
                Fold(f"{block}.silu", (f"{block}.fc2",), frozenset(), no_push),
            ]
        return folds

    def blocks(self, network: nn.Module) -> list[Block]:
        """Two chains: encoder, the step to the decoder, decoder; and the blocks of the head."""
        transformer = self._transformer_blocks()
        transformer.insert(self.config.depth, "backbone.unmask")
        return [*chain(transformer), *chain(self._head_blocks())]

    def trajectory(
        self,
        network: nn.Module,
        conditions: Tensor,
        randomness: Randomness,
        *,
        guidance: float = 1.0,
        guidance_schedule: str = "linear",
        temperature: float = 1.0,
        iterations: int | None = None,
        steps: int | None = None,
        clip: float | None = None,
    ) -> Trajectory:
        """Token by token in a random order for each image, a few each iteration.

        In each one the backbone is called once and the head `steps` times, from pure noise, its
        draws scaled by `temperature` and its clean predictions bounded by `clip`. `guidance` g
        combines u + g (c - u) of the predicted noise, none at 1 (or 0); "linear" raises it from 1
        with the share of known tokens, "constant" does not.
        """
        config, batch, length = self.config, len(conditions), self.config.length
        counts = masked_counts(length, iterations or config.iterations)
        path = Ancestral(self.diffusion, steps or config.head_steps, clip)
        order = randomness.permutations(length)
        guided = guidance not in (0, 1)
        labels = doubled(conditions, config.num_classes) if guided else conditions
        copies = len(labels) // batch
        tokens = torch.zeros(batch, length, config.latent_channels, device=order.device)
        for before, after in zip(counts, counts[1:], strict=False):
            # Sorted, so that sums run in the released code's order.
            known, wanted = order[:, before:].sort().values, order[:, after:before].sort().values
            args = (take(tokens, known).repeat(copies, 1, 1), known.repeat(copies, 1), labels)
            z = yield Call("backbone", self.backbone_step(before), args)
            strength = _strength(guidance, guidance_schedule, 1 - max(after, 1) / length)
            z = take(z, wanted.repeat(copies, 1))
            found = yield from self._denoise(z, path, strength, temperature, randomness)
            tokens = put(tokens, wanted, found)
        return tokens.transpose(1, 2).unflatten(2, (config.side, config.side))

    def _denoise(
        self,
        z: Tensor,
        path: Ancestral,
        strength: float,
        temperature: float,
        randomness: Randomness,
    ) -> Trajectory:
        """Tokens drawn by the head given the vectors `z`, conditional ones first."""
        batch, channels = len(randomness), self.config.latent_channels
        x = randomness.normal(z.shape[1], channels)
        for position, time in enumerate(path.times):
            t = torch.full((1, 1), time, device=z.device)
            inputs = x.repeat(len(z) // batch, 1, 1)
            output = yield Call("head", t, (inputs, t, z))
            noise = output[..., :channels]
            if len(z) > batch:
                noise = guide(noise, strength - 1)
            # The variance is that of the conditional half; the other half is never used.
            variance = output[:batch, :, channels:] if self.config.learn_sigma else None
            last = position == len(path.times) - 1
            drawn = x if last else temperature * randomness.normal(*x.shape[1:])
            x = path.step(x, noise, variance, position, drawn)
        return x

    def backbone_step(self, masked: int) -> Int[Tensor, "1 1"]:
        """The table row of a call with `masked` unknown tokens: the nearest default iteration."""
        counts = masked_counts(self.config.length, self.config.iterations)[:-1]
        return constant_step(min(range(len(counts)), key=lambda i: abs(counts[i] - masked)))

    def replay(self, calls: Sequence[Call]) -> list[Call]:
        """Every call stands alone: known tokens and noisy tokens are its arguments."""
        return [Call(call.net, call.step, call.args) for call in calls]

    @torch.no_grad()
    def encode(
        self, tokenizer: nn.Module, images: Tensor
    ) -> Float[Tensor, "batch channel height width"]:
        """The latents."""
        assert isinstance(tokenizer, LatentTokenizer)
        return tokenizer.latents(images)

    def lesson(self, encoded: Tensor, labels: Tensor, randomness: Randomness) -> Lesson:
        """Masked latents of the images, a timestep for each unknown token; the target is the noise.

        The share of unknown tokens is the mean of training's, so that images form a batch and each
        depends on its own randomness alone.
        """
        masked = math.ceil(MASKED * self.config.length)
        order = randomness.permutations(self.config.length)
        t = randomness.integers(self.diffusion.timesteps, masked)
        noise = randomness.normal(masked, self.config.latent_channels)
        return self.masked_lesson(encoded, labels, order, masked, t, noise)

    def masked_lesson(
        self,
        latents: Float[Tensor, "batch channel height width"],
        labels: Tensor,
        order: Positions,
        masked: int,
        t: Int[Tensor, "batch drawn"],
        noise: Float[Tensor, "batch drawn channel"],
    ) -> Lesson:
        """Denoise the first `masked` tokens in `order` given the others.

        `t` and `noise` hold one or several draws for each of those tokens, one round of all of them
        after the other.
        """
        tokens = latents.flatten(2).transpose(1, 2)
        wanted = order[:, :masked].repeat(1, t.shape[1] // masked)
        known = order[:, masked:]
        x = self.diffusion.add_noise(take(tokens, wanted), noise, t)

        def start() -> Trajectory:
            args = (take(tokens, known), known, labels)
            z = yield Call("backbone", self.backbone_step(masked), args)
            return (yield Call("head", t, (x, t, take(z, wanted))))

        return Lesson(start, noise)

    def without_labels(self, labels: Tensor, drawn: Tensor) -> Tensor:
        """`labels`, "no class" in place of those whose `drawn` is below the share of training."""
        return drop_labels(labels, drawn, self.config)

    def loss(self, output: Tensor, target: Tensor) -> Float[Tensor, " batch"]:
        """Mean squared error of the predicted noise for each sample."""
        noise = output[..., : target.shape[-1]].float()
        return (noise - target).square().flatten(1).mean(dim=1)

    def decode(self, tokenizer: nn.Module, latents: Tensor) -> Tensor:
        """uint8 images from scaled latents, rounded to the nearest as the released script does."""
        assert isinstance(tokenizer, LatentTokenizer)
        return to_uint8(tokenizer.from_latents(latents), rounded=True)

    def _transformer_blocks(self) -> list[str]:
        parts = ("backbone.encoder", "backbone.decoder")
        return [f"{part}.{i}" for part in parts for i in range(self.config.depth)]

    def _head_blocks(self) -> list[str]:
        return [f"head.blocks.{i}" for i in range(self.config.head_depth)]


def _strength(guidance: float, schedule: str, known: float) -> float:
    """The guidance of an iteration after which a share `known` of the tokens is known."""
    if schedule == "constant":
        return guidance
    if schedule == "linear":
        return 1 + (guidance - 1) * known
    raise ValueError(f"unknown guidance schedule {schedule!r}: linear or constant")


def _tiny_tokenizer(config: MARConfig) -> MultiScaleTokenizer:
    autoencoder = AutoencoderConfig(8, (1, 2, 2), 1, config.latent_channels, 4)
    # Only the continuous path of this tokenizer is used, so its one code is never looked up.
    return MultiScaleTokenizer(MultiScaleConfig(autoencoder, 1, (config.side,)))


MAR_FAMILY = Family(
    name="mar",
    style="autoregressive",
    sizes={
        "base": MARConfig(768, 12, 12, 1024, 6),
        "large": MARConfig(1024, 16, 16, 1280, 8),
        "huge": MARConfig(1280, 20, 16, 1536, 12),
    },
    tiny_config=MARConfig(
        16,
        2,
        2,
        16,
        2,
        num_classes=10,
        side=4,
        latent_channels=8,
        buffer=4,
        frequencies=32,
        iterations=4,
        head_steps=5,
    ),
    tiny_tokenizer=_tiny_tokenizer,
    config=MARConfig,
    network=MAR,
    adapter=lambda config, _: MARAdapter(config),
    tokenizer=lambda _: KLTokenizer(KL16),
    sampler={"guidance": 3.0},
    samplers={"base": {"guidance": 2.9}, "large": {"guidance": 3.0}, "huge": {"guidance": 3.2}},
    nets=("backbone", "head"),
    layouts=(Layout("MAR", mar_keys, ("model_ema", "model")),),
    tokenizer_layouts=KL_LAYOUTS,
)
