"""What the adapters of diffusion models have in common: a trajectory of denoising calls."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitscape.models.autoencoder import LatentTokenizer
from bitscape.models.diffusion import Diffusion
from bitscape.models.sampling import guide
from bitscape.models.solvers import make_solver
from bitscape.structure import Call, Lesson, Randomness, Style, Trajectory, constant_step

Latent = Float[Tensor, "batch channel height width"]


class Denoising:
    """The part of an adapter that needs to know only the shape of the latents and the schedule.

    The clock of the network is the timestep of the noise schedule, whichever sampler stops there:
    a table has a row for each timestep that was calibrated, and a sampler with other stops reads
    the nearest. `steps` is the number of stops of the published sampler.
    """

    style: Style = "diffusion"
    loss_name = "denoising_loss"
    discrete = False

    def __init__(
        self,
        config: Any,
        *,
        num_classes: int,
        shape: tuple[int, int, int],
        steps: int,
        diffusion: Diffusion,
    ) -> None:
        self.config = config
        self.num_classes = num_classes
        self.shape = shape
        self.stops = steps
        self.steps = {"": diffusion.timesteps}
        self.diffusion = diffusion

    def conditioning(self, conditions: Tensor) -> tuple[Tensor, ...]:
        """What the network is given besides latent and timestep."""
        return (conditions,)

    def without(self, conditions: Tensor) -> Tensor:
        """What stands for "no condition" under guidance; ValueError where there is none."""
        return torch.full_like(conditions, self.num_classes)

    def step_of(self, t: Int[Tensor, " batch"]) -> Int[Tensor, "batch 1"]:
        """The clock index of each sample: its timestep."""
        return t[:, None]

    def trajectory(
        self,
        network: nn.Module,
        conditions: Tensor,
        randomness: Randomness,
        *,
        guidance: float = 1.0,
        steps: int | None = None,
        solver: str = "ddim",
        eta: float = 0.0,
        clip: float | None = None,
    ) -> Trajectory:
        """From pure noise by `solver`; `guidance` g combines u + g (c - u), none at 1 (or 0)."""
        count = steps or self.stops
        path = make_solver(solver, self.diffusion, count, randomness, clip, eta)
        guided = guidance not in (0, 1)
        if guided:
            conditions = torch.cat([conditions, self.without(conditions)])
        given = self.conditioning(conditions)
        x = randomness.normal(*self.shape)
        for position, t in enumerate(path.times):
            now = torch.full((len(conditions),), t, device=x.device)
            step = constant_step(int(self.step_of(now[:1])))
            inputs = path.inputs(x, position).repeat(len(conditions) // len(x), 1, 1, 1)
            output = yield Call("", step, (inputs, now, *given))
            # What follows the noise is its predicted variance, which these solvers do not read.
            noise = output[:, : self.shape[0]]
            x = path.step(x, guide(noise, guidance - 1) if guided else noise, position)
        return x

    def replay(self, calls: Sequence[Call]) -> list[Call]:
        """Diffusion calls are independent as they stand."""
        return [Call(call.net, call.step, call.args) for call in calls]

    @torch.no_grad()
    def encode(self, tokenizer: nn.Module, images: Tensor) -> Latent:
        """The latents."""
        assert isinstance(tokenizer, LatentTokenizer)
        return tokenizer.latents(images)

    def lesson(self, encoded: Tensor, labels: Tensor, randomness: Randomness) -> Lesson:
        """Noised latents of the images at random timesteps; the target is the noise."""
        t = randomness.integers(self.diffusion.timesteps)
        return self.noise_lesson(encoded, labels, t, randomness.normal(*encoded.shape[1:]))

    def noise_lesson(self, latents: Latent, labels: Tensor, t: Tensor, noise: Latent) -> Lesson:
        """The call that denoises `latents` at timesteps `t`."""
        x = self.diffusion.add_noise(latents, noise, t)
        args = (x, t, *self.conditioning(labels))
        return Lesson.of_call(Call("", self.step_of(t), args), noise)

    def loss(self, output: Tensor, target: Tensor) -> Float[Tensor, " batch"]:
        """Mean squared error of the predicted noise for each sample."""
        noise = output[:, : target.shape[1]].float()
        return (noise - target).square().flatten(1).mean(dim=1)
