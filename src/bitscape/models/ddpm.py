"""Ancestral sampling over a subsequence of timesteps, with the variance that the network predicts.

Ho et al., "Denoising Diffusion Probabilistic Models", arXiv 2006.11239, equation 7; Nichol and
Dhariwal, "Improved Denoising Diffusion Probabilistic Models", arXiv 2102.09672, equations 15
(learned variance) and 19 (betas of the subsequence). This is how DiT's figures were sampled.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.models.diffusion import Diffusion
from bitscape.structure import Randomness

Latent = Float[Tensor, "batch channel height width"]
Prediction = Float[Tensor, "batch predicted height width"]


class DDPM:
    """A `Solver` that draws x' from p(x' | x) at each step, and returns the mean at the last."""

    def __init__(self, diffusion: Diffusion, steps: int, randomness: Randomness) -> None:
        self.times: list[int] = diffusion.spaced(steps).tolist()
        self.signal: list[float] = [*diffusion.signal()[self.times].tolist(), 1.0]
        self.randomness = randomness

    def inputs(self, x: Latent, position: int) -> Latent:
        """The latent itself."""
        return x

    def step(self, x: Latent, prediction: Prediction, position: int) -> Latent:
        """The latent after the step at `times[position]`.

        `prediction` is the noise, and behind its channels, where the network learned one, the
        variance v in [-1, 1]: log variance = (1 + v) / 2 log beta + (1 - v) / 2 log posterior.
        """
        noise, learned = prediction[:, : x.shape[1]], prediction[:, x.shape[1] :]
        a, before = self.signal[position : position + 2]
        beta = 1 - a / before
        clean = (x - (1 - a) ** 0.5 * noise) / a**0.5
        mean = beta * before**0.5 / (1 - a) * clean
        mean = mean + (1 - before) * (1 - beta) ** 0.5 / (1 - a) * x
        if position == len(self.times) - 1:
            return mean
        low, high = math.log(beta * (1 - before) / (1 - a)), math.log(beta)
        share = (learned + 1) / 2 if learned.shape[1] else torch.zeros_like(x)
        spread = torch.exp(0.5 * (share * high + (1 - share) * low))
        return mean + spread * self.randomness.normal(*x.shape[1:])
