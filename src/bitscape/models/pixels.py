"""The tokenizer of models that draw pixels: images are their own latents."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

Image = Float[Tensor, "batch channel height width"]


@dataclass(frozen=True)
class PixelConfig:
    """Nothing to choose: pixels in [-1, 1]."""


class PixelTokenizer(nn.Module):
    """The identity. Models that leave it to their tokenizer round its images to bytes."""

    rounded: bool | None = True

    def __init__(self, config: PixelConfig) -> None:
        super().__init__()
        self.config = config

    def latents(self, images: Image) -> Image:
        """The images themselves."""
        return images

    def from_latents(self, latents: Image) -> Image:
        """The latents themselves."""
        return latents
