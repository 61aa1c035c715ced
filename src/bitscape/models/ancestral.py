"""Ancestral sampling with a learned variance, and the cosine schedule.

Nichol and Dhariwal, "Improved Denoising Diffusion Probabilistic Models", arXiv 2102.09672: the
cosine schedule (equation 17), the variance interpolated between its bounds in the log domain
(equation 15), and sampling on a subsequence of the timesteps with betas of its own (equation 19).
"""

import math
from dataclasses import dataclass
from itertools import accumulate, repeat

import torch
from jaxtyping import Float, Int
from torch import Tensor

Latent = Float[Tensor, "*batch channel"]
Sample = Float[Tensor, "*sample"]


@dataclass(frozen=True)
class CosineDiffusion:
    """The noise schedule alpha_bar(t) = cos^2(pi/2 (t/T + s) / (1 + s)), s = 0.008.

    No beta exceeds 0.999.
    """

    timesteps: int = 1000

    def signal(self) -> Float[Tensor, " timesteps"]:
        """alpha_bar, the share of the signal's variance that is left at each timestep."""
        times = torch.arange(self.timesteps + 1, dtype=torch.float64) / self.timesteps
        edges = torch.cos((times + 0.008) / 1.008 * math.pi / 2).square()
        betas = (1 - edges[1:] / edges[:-1]).clamp_max(0.999)
        return (1 - betas).cumprod(0)

    def add_noise(self, x: Latent, noise: Latent, t: Int[Tensor, "*batch"]) -> Latent:
        """sqrt(alpha_bar) x + sqrt(1 - alpha_bar) noise, with a timestep for each vector."""
        a = self.signal().to(t.device)[t].unsqueeze(-1)
        return a.sqrt().to(x.dtype) * x + (1 - a).sqrt().to(x.dtype) * noise

    def spaced(self, steps: int) -> list[int]:
        """`steps` evenly spaced timesteps, the noisiest first."""
        if not 2 <= steps <= self.timesteps:
            raise ValueError(
                f"{steps} sampling steps are out of range: choose 2 to {self.timesteps}"
            )
        # Added up stride by stride as the released code does, because ties round by the last bit.
        stride = (self.timesteps - 1) / (steps - 1)
        ascending = [round(place) for place in accumulate(repeat(stride, steps - 1), initial=0.0)]
        return ascending[::-1]


def clean_sample(x: Sample, noise: Sample, a: float) -> Sample:
    """x0 = (x - sqrt(1 - a) noise) / sqrt(a), for x with alpha_bar `a`."""
    return (1 / a) ** 0.5 * x - (1 / a - 1) ** 0.5 * noise


def ancestral_step(
    x: Sample, clean: Sample, variance: Sample | None, a: float, before: float, drawn: Sample
) -> Sample:
    """A draw from p(x' | x), x with alpha_bar `a` and x' with `before`, given the predicted x0.

    `variance` v in [-1, 1] interpolates: log variance = (1 + v) / 2 log beta + (1 - v) / 2 log
    posterior; None is the posterior's. `drawn` is normal noise. Without noise left, `before` = 1,
    it is the mean.
    """
    beta = 1 - a / before
    kept = (1 - before) * (1 - beta) ** 0.5 / (1 - a)
    mean = beta * before**0.5 / (1 - a) * clean + kept * x
    if before == 1:
        return mean
    low, high = math.log(beta * (1 - before) / (1 - a)), math.log(beta)
    share = torch.zeros_like(x) if variance is None else (variance + 1) / 2
    return mean + torch.exp(0.5 * (share * high + (1 - share) * low)) * drawn


class Ancestral:
    """The path from noise to a sample through `times`; `clip` bounds the predicted clean sample.

    At the noisiest timestep an error of the predicted noise weighs 20,000 times as much in the
    clean sample: large networks bear that, small or quantized ones need the bound.
    """

    def __init__(self, diffusion: CosineDiffusion, steps: int, clip: float | None = None) -> None:
        self.clip = clip
        self.times = diffusion.spaced(steps)
        self.signal: list[float] = [*diffusion.signal()[self.times].tolist(), 1.0]

    def step(
        self, x: Latent, noise: Latent, variance: Latent | None, position: int, drawn: Latent
    ) -> Latent:
        """The sample after the step at `times[position]`, given the predicted noise.

        `variance` and `drawn` are those of `ancestral_step`; the last step returns the mean.
        """
        a, before = self.signal[position : position + 2]
        clean = clean_sample(x, noise, a)
        if self.clip is not None:
            clean = clean.clamp(-self.clip, self.clip)
        return ancestral_step(x, clean, variance, a, before, drawn)
