"""Latents as features: what a Fréchet distance sees before the decoder blurs it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Latents = Float[Tensor, "batch channel height width"]


@dataclass(frozen=True)
class LatentScale:
    """Per-channel mean and deviation of real latents: the unit in which latents are compared.

    It makes the distance independent of a family's own scaling of its latents.
    """

    mean: Float[Tensor, " channel"]
    deviation: Float[Tensor, " channel"]

    @classmethod
    def of(cls, latents: Latents) -> "LatentScale":
        """The scale of `latents`; a channel that never varies keeps its own unit."""
        rows = latents.double().transpose(0, 1).flatten(1)
        deviation = rows.std(dim=1)
        return cls(rows.mean(dim=1), torch.where(deviation > 0, deviation, 1.0))

    def features(self, latents: Tensor) -> Float[Tensor, "batch feature"]:
        """Mean and deviation over positions of each standardised channel, 2 x channel numbers."""
        if latents.ndim != 4 or not latents.is_floating_point():
            raise ValueError(
                "latents must be real maps (batch, channel, height, width), "
                f"got {latents.dtype} of shape {tuple(latents.shape)}"
            )
        unit = (latents.double() - self.mean[:, None, None]) / self.deviation[:, None, None]
        return torch.cat([unit.mean(dim=(2, 3)), unit.flatten(2).std(dim=2)], dim=1)
