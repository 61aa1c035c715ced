"""What the adapters of diffusion models have in common: a trajectory of denoising calls."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitscape.models.autoencoder import LatentTokenizer
from bitscape.models.diffusion import Diffusion
from bitscape.models.labels import drop_labels
from bitscape.models.sampling import guide
from bitscape.models.solvers import make_solver
from bitscape.structure import Call, Lesson, Randomness, Style, Trajectory, constant_step

Latent = Float[Tensor, "batch channel height width"]
Both = Float[Tensor, "both predicted height width"]
Prediction = Float[Tensor, "batch predicted height width"]


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

    def influence(
        self, step: Int[Tensor, "batch 1"], steps: int | None = None
    ) -> Float[Tensor, " batch"]:
        """What squared errors at clock indices `step` weigh in a sample by `steps` steps of DDIM.

        A timestep between two stops weighs what the nearest does; the mean over stops is one.
        """
        count = steps or self.stops
        stops = self.diffusion.spaced(count).to(step.device)
        nearest = (step - stops).abs().argmin(dim=1)
        return self.diffusion.influence(count).float().to(step.device)[nearest]

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
        guided_channels: int | None = None,
    ) -> Trajectory:
        """From pure noise by `solver`; `guidance` g combines u + g (c - u), none at 1 (or 0).

        `solver` is "ddpm" (250 of these steps made DiT's published figures), "ddim" or a scheduler
        class of diffusers. `guided_channels` None guides all channels of the noise, as in the
        papers; the released script of DiT, and so its figures, guide the first three of four.
        """
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
            if guided:
                output = guided_noise(output, guidance, guided_channels or self.shape[0])
            x = path.step(x, output, position)
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

    def without_labels(self, labels: Tensor, drawn: Tensor) -> Tensor:
        """`labels`, "no class" in place of those whose `drawn` is below the share of training."""
        return drop_labels(labels, drawn, self.config)

    def loss(self, output: Tensor, target: Tensor) -> Float[Tensor, " batch"]:
        """Mean squared error of the predicted noise for each sample."""
        noise = output[:, : target.shape[1]].float()
        return (noise - target).square().flatten(1).mean(dim=1)


def guided_noise(both: Both, guidance: float, channels: int) -> Prediction:
    """u + g (c - u) in the first `channels`; the rest, as a predicted variance, is that of c.

    `both` holds c, then u, along the batch.
    """
    mixed = guide(both[:, :channels], guidance - 1)
    rest = both[: len(mixed), channels:]
    return torch.cat([mixed, rest], dim=1) if rest.shape[1] else mixed
