"""Gaussian diffusion: noise schedules, timesteps of samplers, and the DDIM solver.

Ho et al., "Denoising Diffusion Probabilistic Models", arXiv 2006.11239; Song et al., "Denoising
Diffusion Implicit Models", arXiv 2010.02502, equations 12 and 16. Every other solver comes from
diffusers.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

Latent = Float[Tensor, "batch channel height width"]


@dataclass(frozen=True)
class Diffusion:
    """The noise schedule beta from `first` to `last`, and where samplers stop on it.

    `schedule` "linear" spaces beta evenly, "scaled_linear" its root (latent diffusion). `spacing`
    of a sampler's timesteps: "linspace" from end to end (ADM, DiT), "leading" multiples of a whole
    stride plus `offset`, "quadratic" denser where the noise is low. The last step goes to the clean
    latent, or with `to_clean` off to the noise of timestep 0, as in latent diffusion.
    """

    timesteps: int = 1000
    first: float = 1e-4
    last: float = 0.02
    schedule: Literal["linear", "scaled_linear"] = "linear"
    spacing: Literal["linspace", "leading", "quadratic"] = "linspace"
    offset: int = 0
    to_clean: bool = True

    def signal(self) -> Float[Tensor, " timesteps"]:
        """alpha_bar, the share of the signal's variance that is left at each timestep."""
        power = 2.0 if self.schedule == "scaled_linear" else 1.0
        ends = self.first ** (1 / power), self.last ** (1 / power)
        betas = torch.linspace(*ends, self.timesteps, dtype=torch.float64) ** power
        return (1 - betas).cumprod(0)

    def add_noise(self, x: Latent, noise: Latent, t: Int[Tensor, " batch"]) -> Latent:
        """sqrt(alpha_bar) x + sqrt(1 - alpha_bar) noise."""
        a = self.signal().to(t.device)[t].to(x.dtype)[:, None, None, None]
        return a.sqrt() * x + (1 - a).sqrt() * noise

    def spaced(self, steps: int) -> Int[Tensor, " steps"]:
        """`steps` timesteps from the noisiest down, by `spacing`."""
        if not 1 <= steps <= self.timesteps:
            raise ValueError(
                f"{steps} sampling steps are out of range: choose 1 to {self.timesteps}"
            )
        if self.spacing == "linspace":
            even = torch.linspace(self.timesteps - 1, 0, steps, dtype=torch.float64)
            return even.round().long()
        if self.spacing == "leading":
            times = torch.arange(steps) * (self.timesteps // steps)
        else:
            # The released samplers stop at 0.8 of the schedule here.
            root = (0.8 * self.timesteps) ** 0.5
            times = (torch.linspace(0, root, steps, dtype=torch.float64) ** 2).long()
        return (times + self.offset).clamp_max(self.timesteps - 1).flip(0)

    def influence(self, steps: int) -> Float[Tensor, " steps"]:
        """What a squared error of the noise weighs in the next latent of `steps` steps of DDIM.

            (sqrt(1 - a') - sqrt(a' / a) sqrt(1 - a))^2

        at each of them, over its mean. Where latents have a deviation of one this is its weight in
        the sample, too: what is left of the path then neither stretches nor shrinks them.
        """
        signal = self.signal()
        a = signal[self.spaced(steps)]
        last = torch.ones(1) if self.to_clean else signal[:1]
        after = torch.cat([a[1:], last.to(a)])
        moved = ((1 - after).sqrt() - (after / a * (1 - a)).sqrt()).square()
        return moved / moved.mean()

    def ddim(
        self,
        x: Latent,
        noise: Latent,
        t: int,
        before: int | None,
        clip: float | None = None,
        *,
        eta: float = 0.0,
        fresh: Latent | None = None,
    ) -> Latent:
        """The latent at timestep `before` (after the last step when None) by DDIM.

        x0 = (x - sqrt(1 - a) e) / sqrt(a); x' = sqrt(a') x0 + sqrt(1 - a' - s^2) e + s z, with
        s = eta sqrt((1 - a') / (1 - a) (1 - a / a')) and z = `fresh` noise. `clip` bounds x0.
        """
        signal = self.signal()
        a, final = float(signal[t]), 1.0 if self.to_clean else float(signal[0])
        a_next = final if before is None else float(signal[before])
        clean = (x - (1 - a) ** 0.5 * noise) / a**0.5
        if clip is not None:
            clean = clean.clamp(-clip, clip)
            noise = (x - a**0.5 * clean) / (1 - a) ** 0.5
        spread = eta * ((1 - a_next) / (1 - a) * (1 - a / a_next)) ** 0.5
        moved = a_next**0.5 * clean + (1 - a_next - spread**2) ** 0.5 * noise
        return moved if fresh is None else moved + spread * fresh
