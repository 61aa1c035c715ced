"""Training the autoencoder that every family of the zoo shares."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from bitscape.models.autoencoder import AutoencoderConfig
from bitscape.models.multiscale import MultiScaleConfig, MultiScaleTokenizer
from bitscape.zoo import shapes

CONFIG = AutoencoderConfig(
    channels=16, multipliers=(1, 2, 4), residual_blocks=1, latent_channels=16, norm_groups=8
)
VOCABULARY = 512
PATCH_NUMS = (1, 2, 3, 5, 8)
COMMITMENT = 0.25


def build() -> MultiScaleTokenizer:
    """The zoo's tokenizer with fresh weights: 8 x 8 x 16 latents, 512 codes, 103 tokens."""
    return MultiScaleTokenizer(MultiScaleConfig(CONFIG, VOCABULARY, PATCH_NUMS))


@dataclass
class Reconstruction:
    """Reconstruct `shapes`; a third of each batch bypasses the codebook.

    The bypass teaches the one decoder both latents it will meet, VAR's and DiT's.
    """

    module: MultiScaleTokenizer
    seed: int
    batch: int
    revive_until: int

    def losses(self, step: int) -> dict[str, Tensor]:
        """Pixel, edge and codebook losses of one batch."""
        images = shapes.draw(self.seed, step * self.batch, self.batch).images
        images = images.to(memory_format=torch.channels_last)
        f = self.module.features(images)
        tokens, maps = self.module.quantizer.encode(f)
        if step % 20 == 0 and step < self.revive_until:
            revive(self.module.quantizer.embedding, torch.cat(tokens, 1), f, step)
        commitment = torch.stack([functional.mse_loss(f, m.detach()) for m in maps]).mean()
        codebook = torch.stack([functional.mse_loss(m, f.detach()) for m in maps]).mean()
        quantized = f + (maps[-1] - f).detach()
        third = self.batch // 3
        output = self.module.decode(torch.cat([f[:third], quantized[third:]]))
        pixel, edge = pixel_losses(output, images)
        loss = pixel + edge + COMMITMENT * commitment + codebook
        used = torch.cat(tokens, 1).unique().numel()
        return {
            "loss": loss,
            "mse": functional.mse_loss(output[third:], images[third:]).detach(),
            "mse_continuous": functional.mse_loss(output[:third], images[:third]).detach(),
            "codebook": codebook.detach(),
            "codes_used": torch.tensor(float(used)),
        }


@dataclass
class Sharpening:
    """Train the decoder alone on frozen tokens, so that models trained on them stay valid."""

    tokenizer: MultiScaleTokenizer
    seed: int
    batch: int

    def __post_init__(self) -> None:
        self.module = nn.ModuleList([self.tokenizer.post_quant_conv, self.tokenizer.decoder])

    def losses(self, step: int) -> dict[str, Tensor]:
        """Pixel and edge losses of one batch, a third of it from continuous latents."""
        images = shapes.draw(self.seed, step * self.batch, self.batch).images
        with torch.no_grad():
            f = self.tokenizer.features(images)
            quantized = self.tokenizer.quantizer.encode(f)[1][-1]
        third = self.batch // 3
        output = self.tokenizer.decode(torch.cat([f[:third], quantized[third:]]))
        pixel, edge = pixel_losses(output, images)
        return {
            "loss": pixel + edge,
            "mse": functional.mse_loss(output[third:], images[third:]).detach(),
            "mse_continuous": functional.mse_loss(output[:third], images[:third]).detach(),
        }


def pixel_losses(output: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Absolute plus squared error of the pixels, and absolute error of their differences.

    The second term charges blurred outlines, which squared error alone forgives.
    """
    pixel = functional.l1_loss(output, images) + functional.mse_loss(output, images)
    rows = functional.l1_loss(output.diff(dim=2), images.diff(dim=2))
    columns = functional.l1_loss(output.diff(dim=3), images.diff(dim=3))
    return pixel, rows + columns


@torch.no_grad()
def revive(embedding: nn.Embedding, tokens: Tensor, f: Tensor, step: int) -> None:
    """Move codes that no token of the batch chose next to latents of the batch."""
    dead = torch.ones(embedding.num_embeddings, dtype=torch.bool)
    dead[tokens.flatten().unique()] = False
    generator = torch.Generator().manual_seed(step)
    rows = f.permute(0, 2, 3, 1).flatten(0, 2)
    chosen = rows[torch.randint(len(rows), (int(dead.sum()),), generator=generator)]
    gain = torch.rand(len(chosen), 1, generator=generator)
    embedding.weight[dead] = chosen * gain


@torch.no_grad()
def standardise(tokenizer: MultiScaleTokenizer, seed: int, count: int = 4096) -> None:
    """Set `latent_shift` and `latent_scale` to the channels' mean and standard deviation."""
    parts = [
        tokenizer.features(shapes.draw(seed, start, 512).images) for start in range(0, count, 512)
    ]
    f = torch.cat(parts)
    tokenizer.latent_shift.copy_(f.mean(dim=(0, 2, 3)))
    tokenizer.latent_scale.copy_(f.std(dim=(0, 2, 3)))
