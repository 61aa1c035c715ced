"""Gaussian diffusion: the linear schedule and the deterministic DDIM solver.

Ho et al., "Denoising Diffusion Probabilistic Models", arXiv 2006.11239; Song et al., "Denoising
Diffusion Implicit Models", arXiv 2010.02502, equation 12. Every other solver comes from diffusers.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

Latent = Float[Tensor, "batch channel height width"]


@dataclass(frozen=True)
class Diffusion:
    """The noise schedule beta, linear from `first` to `last` over `timesteps`."""

    timesteps: int = 1000
    first: float = 1e-4
    last: float = 0.02

    def signal(self) -> Float[Tensor, " timesteps"]:
        """alpha_bar, the share of the signal's variance that is left at each timestep."""
        betas = torch.linspace(self.first, self.last, self.timesteps, dtype=torch.float64)
        return (1 - betas).cumprod(0)

    def add_noise(self, x: Latent, noise: Latent, t: Int[Tensor, " batch"]) -> Latent:
        """sqrt(alpha_bar) x + sqrt(1 - alpha_bar) noise."""
        a = self.signal().to(t.device)[t].to(x.dtype)[:, None, None, None]
        return a.sqrt() * x + (1 - a).sqrt() * noise

    def spaced(self, steps: int) -> Int[Tensor, " steps"]:
        """`steps` timesteps from the noisiest down, evenly spaced, as respaced by ADM and DiT."""
        if not 1 <= steps <= self.timesteps:
            raise ValueError(
                f"{steps} sampling steps are out of range: choose 1 to {self.timesteps}"
            )
        return torch.linspace(self.timesteps - 1, 0, steps, dtype=torch.float64).round().long()

    def ddim(
        self, x: Latent, noise: Latent, t: int, before: int | None, clip: float | None = None
    ) -> Latent:
        """The latent at timestep `before` (the clean one when None) by DDIM with eta = 0.

        x0 = (x - sqrt(1 - a_t) e) / sqrt(a_t); x' = sqrt(a') x0 + sqrt(1 - a') e. `clip` bounds x0.
        """
        signal = self.signal()
        a = float(signal[t])
        a_next = 1.0 if before is None else float(signal[before])
        clean = (x - (1 - a) ** 0.5 * noise) / a**0.5
        if clip is not None:
            clean = clean.clamp(-clip, clip)
            noise = (x - a**0.5 * clean) / (1 - a) ** 0.5
        return a_next**0.5 * clean + (1 - a_next) ** 0.5 * noise
