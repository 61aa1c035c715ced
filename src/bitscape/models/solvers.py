"""Solvers: how a diffusion trajectory moves from one timestep to the next.

DDIM and DDPM are the project's own; every other name is a scheduler class of diffusers, built on
the same noise schedule.
"""

import importlib
import inspect
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from bitscape.models.ddpm import DDPM
from bitscape.models.diffusion import Diffusion
from bitscape.structure import Randomness

Latent = Float[Tensor, "batch channel height width"]
Prediction = Float[Tensor, "batch predicted height width"]


@runtime_checkable
class Solver(Protocol):
    """One trajectory's solver; it may remember earlier steps, so each trajectory makes its own.

    `times` are the timesteps at which the network is called, in order; `inputs` is what it is
    called with, `step` moves on.
    """

    times: list[int]

    def inputs(self, x: Latent, position: int) -> Latent:
        """What the network reads at `times[position]`."""
        ...

    def step(self, x: Latent, prediction: Prediction, position: int) -> Latent:
        """The latent after the step at `times[position]`.

        `prediction` is the noise, and behind its channels, where the network learned one, its
        variance, which some solvers do not read.
        """
        ...


class DDIM:
    """DDIM over the schedule's timesteps; `clip` bounds the predicted clean latent.

    Deterministic with `eta` 0; with 1 as noisy as the original diffusion.
    """

    def __init__(
        self,
        diffusion: Diffusion,
        steps: int,
        randomness: Randomness,
        clip: float | None = None,
        eta: float = 0.0,
    ) -> None:
        self.diffusion = diffusion
        self.randomness = randomness
        self.clip = clip
        self.eta = eta
        self.times: list[int] = diffusion.spaced(steps).tolist()

    def inputs(self, x: Latent, position: int) -> Latent:
        """The latent itself."""
        return x

    def step(self, x: Latent, prediction: Prediction, position: int) -> Latent:
        """Equation 12 of arXiv 2010.02502."""
        noise = prediction[:, : x.shape[1]]
        after = self.times[position + 1 : position + 2]
        before = after[0] if after else None
        fresh = self.randomness.normal(*x.shape[1:]) if self.eta else None
        t = self.times[position]
        return self.diffusion.ddim(x, noise, t, before, self.clip, eta=self.eta, fresh=fresh)


class Scheduler:
    """A scheduler of diffusers, `name` being its class, with `steps` inference steps.

    Its random numbers, where it draws any, come from the images' own streams. PNDMScheduler is
    PLMS: without the Runge-Kutta steps, as latent diffusion runs it.
    """

    def __init__(
        self, name: str, diffusion: Diffusion, steps: int, randomness: Randomness, eta: float = 0.0
    ) -> None:
        scheduler = _scheduler_class(name)
        known = inspect.signature(scheduler).parameters
        options = _options(diffusion)
        self.scheduler = scheduler(**{k: v for k, v in options.items() if k in known})
        # A few schedulers clip the clean prediction to [-1, 1], which suits pixels, not latents.
        if "clip_sample" in self.scheduler.config:
            self.scheduler.register_to_config(clip_sample=False)
        self.scheduler.set_timesteps(steps)
        self.times: list[int] = [round(float(t)) for t in self.scheduler.timesteps]
        taken = inspect.signature(self.scheduler.step).parameters
        if eta and "eta" not in taken:
            raise ValueError(f"solver {name!r} has no eta: leave it out, or choose 'ddim'")
        given = {"generator": randomness.generators, "eta": eta}
        self.options: dict[str, Any] = {k: v for k, v in given.items() if k in taken}

    def inputs(self, x: Latent, position: int) -> Latent:
        """The latent scaled as the scheduler wants; at the start also brought to its own noise."""
        if position == 0:
            x.mul_(self.scheduler.init_noise_sigma)
        scaled: Tensor = self.scheduler.scale_model_input(x, self.scheduler.timesteps[position])
        return scaled

    def step(self, x: Latent, prediction: Prediction, position: int) -> Latent:
        """The scheduler's step."""
        noise = prediction[:, : x.shape[1]]
        t = self.scheduler.timesteps[position]
        result: Tensor = self.scheduler.step(noise, t, x, **self.options).prev_sample
        return result


def make_solver(
    name: str,
    diffusion: Diffusion,
    steps: int,
    randomness: Randomness,
    clip: float | None = None,
    eta: float = 0.0,
) -> Solver:
    """ "ddim", "ddpm" or the diffusers scheduler class `name`; ValueError for an unknown one.

    ValueError too for a `clip` or an `eta` that the solver does not have.
    """
    if name == "ddim":
        return DDIM(diffusion, steps, randomness, clip, eta)
    if name == "ddpm":
        if clip is not None or eta:
            raise ValueError(f"{clip=} and {eta=} are not for solver 'ddpm': leave them out")
        return DDPM(diffusion, steps, randomness)
    if clip is not None:
        raise ValueError(f"clip={clip} works with solver 'ddim' only: leave it out for {name!r}")
    return Scheduler(name, diffusion, steps, randomness, eta)


def _options(diffusion: Diffusion) -> dict[str, Any]:
    """The noise schedule in diffusers' words; spacings that they lack stay at their default."""
    options: dict[str, Any] = {
        "num_train_timesteps": diffusion.timesteps,
        "beta_start": diffusion.first,
        "beta_end": diffusion.last,
        "beta_schedule": diffusion.schedule,
        "prediction_type": "epsilon",
        "skip_prk_steps": True,
    }
    if diffusion.spacing == "leading":
        options |= {
            "timestep_spacing": "leading",
            "steps_offset": diffusion.offset,
            "set_alpha_to_one": diffusion.to_clean,
        }
    return options


def _scheduler_class(name: str) -> Any:
    try:
        schedulers = importlib.import_module("diffusers.schedulers")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"solver {name!r} comes from diffusers: install it with pip install bitscape[diffusers]"
        ) from error
    if not name.endswith("Scheduler") or name not in dir(schedulers):
        raise ValueError(
            f"unknown solver {name!r}: 'ddim', 'ddpm' or a scheduler class of diffusers, "
            "for example DPMSolverMultistepScheduler"
        )
    return getattr(schedulers, name)
