"""The observer: the small network whose features the offline Fréchet distance compares.

It names the class and reads off the attributes of a `shapes` image. It learns from real images and
from autoencoder reconstructions alike; trained on real images only, it would take the decoder's
slight blur for damage and the distance would not fall monotonically with quality.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from bitscape.models import MultiScaleTokenizer
from bitscape.zoo import shapes

Bytes = UInt8[Tensor, "batch height width 3"]


class Observer(nn.Module):
    """Residual convolutions to a 64-dimensional feature, then class scores and attributes."""

    FEATURES = 64

    def __init__(self) -> None:
        super().__init__()
        widths = (32, 64, 96, 128)
        self.stem = nn.Conv2d(3, widths[0], 3, padding=1)
        self.stages = nn.ModuleList(
            _Stage(before, after) for before, after in zip(widths, widths[1:], strict=False)
        )
        self.embed = nn.Linear(widths[-1] * 16, self.FEATURES)
        self.classify = nn.Linear(self.FEATURES, len(shapes.CLASSES))
        self.regress = nn.Linear(self.FEATURES, len(shapes.ATTRIBUTES))

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 64"]:
        """Features of images in [-1, 1]."""
        h = functional.silu(self.stem(images))
        for stage in self.stages:
            h = stage(h)
        result: Tensor = self.embed(h.flatten(1))
        return result

    @torch.no_grad()
    def features(self, images: Bytes) -> Float[Tensor, "batch 64"]:
        """Features of uint8 images, channels last."""
        result: Tensor = self(images.permute(0, 3, 1, 2).float() / 127.5 - 1)
        return result

    @torch.no_grad()
    def logits(self, features: Float[Tensor, "batch 64"]) -> Float[Tensor, "batch class"]:
        """Class scores of images by their features."""
        result: Tensor = self.classify(functional.silu(features))
        return result


class _Stage(nn.Module):
    """Halve the resolution, then one residual convolution."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(8, channels_out)
        self.conv = nn.Conv2d(channels_out, channels_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return functional.silu(x + self.conv(functional.silu(self.norm(x))))


@dataclass
class Observation:
    """Name the class and read the attributes; half of each batch is reconstructed first.

    Half of the reconstructions pass through the codebook, half are continuous.
    """

    module: Observer
    tokenizer: MultiScaleTokenizer
    seed: int
    batch: int

    def losses(self, step: int) -> dict[str, Tensor]:
        """Cross-entropy and squared attribute error of one batch."""
        batch = shapes.draw(self.seed, step * self.batch, self.batch)
        images = self._partly_reconstructed(batch.images)
        noise = torch.Generator().manual_seed(step)
        images = images + 0.02 * torch.randn(images.shape, generator=noise)
        features = functional.silu(self.module(images))
        scores = self.module.classify(features)
        named = functional.cross_entropy(scores, batch.labels)
        read = functional.mse_loss(self.module.regress(features), batch.attributes)
        right = (scores.argmax(1) == batch.labels).float().mean()
        return {"loss": named + read, "attributes": read.detach(), "accuracy": right.detach()}

    @torch.no_grad()
    def _partly_reconstructed(self, images: Tensor) -> Tensor:
        quarter = len(images) // 4
        f = self.tokenizer.features(images[: 2 * quarter])
        coded = self.tokenizer.quantizer.encode(f[:quarter])[1][-1]
        rebuilt = self.tokenizer.decode(torch.cat([coded, f[quarter:]])).clamp(-1, 1)
        return torch.cat([rebuilt, images[2 * quarter :]])
