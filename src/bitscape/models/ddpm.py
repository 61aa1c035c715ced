"""Ancestral sampling over a subsequence of timesteps, with the variance that the network predicts.

Ho et al., "Denoising Diffusion Probabilistic Models", arXiv 2006.11239, equation 7; Nichol and
Dhariwal, "Improved Denoising Diffusion Probabilistic Models", arXiv 2102.09672, equations 15
(learned variance) and 19 (betas of the subsequence). This is how DiT's figures were sampled.
"""

from jaxtyping import Float
from torch import Tensor

from bitscape.models.ancestral import ancestral_step, clean_sample
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
        variance v of `ancestral_step`.
        """
        noise, learned = prediction[:, : x.shape[1]], prediction[:, x.shape[1] :]
        a, before = self.signal[position : position + 2]
        drawn = x if before == 1 else self.randomness.normal(*x.shape[1:])
        variance = learned if learned.shape[1] else None
        return ancestral_step(x, clean_sample(x, noise, a), variance, a, before, drawn)
