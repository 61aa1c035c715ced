"""Solvers: DDIM agrees with diffusers' own, and every common scheduler runs a trajectory."""

import pytest
import torch

from bitscape.models import FAMILIES
from bitscape.models.denoising import guided_noise
from bitscape.models.diffusion import Diffusion
from bitscape.models.solvers import DDIM, make_solver
from bitscape.structure import Randomness


# diffusers converts tensors to numpy in a way that numpy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(
    "solver",
    [
        "DPMSolverMultistepScheduler",
        "EulerDiscreteScheduler",
        "DDPMScheduler",
        "UniPCMultistepScheduler",
    ],
)
def test_diffusers_schedulers_sample(solver: str) -> None:
    pytest.importorskip("diffusers")
    pipeline = FAMILIES["dit"].tiny()
    with torch.no_grad():
        latents = pipeline.latents(torch.tensor([0, 1, 2]), solver=solver, steps=5)
        alone = pipeline.latents(torch.tensor([2]), solver=solver, steps=5, first=2)
    assert latents.isfinite().all()
    torch.testing.assert_close(alone[0], latents[2], rtol=1e-4, atol=1e-4)


def test_an_unknown_solver_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown solver 'dmp'"):
        FAMILIES["dit"].tiny().sample([0], solver="dmp")


def test_clipping_belongs_to_ddim() -> None:
    with pytest.raises(ValueError, match=r"clip=2\.0 works with solver 'ddim' only"):
        make_solver("DDPMScheduler", Diffusion(), 5, Randomness(0, [0]), 2.0)


def test_ddim_ends_at_the_clean_latent() -> None:
    solver = DDIM(Diffusion(), 4, Randomness(0, [0]))
    drawn = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 1, 2, 4, 4, generator=drawn)
    x = Diffusion().add_noise(clean, noise, torch.tensor([solver.times[0]]))
    for position in range(4):
        x = solver.step(x, noise, position)
    torch.testing.assert_close(x, clean, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("options", [{"clip": 2.0}, {"eta": 1.0}])
def test_ancestral_sampling_has_noise_of_its_own(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="are not for solver 'ddpm': leave them out"):
        make_solver("ddpm", Diffusion(), 5, Randomness(0, [0]), **options)


@pytest.mark.parametrize("family", ["dit", "unet"])
def test_every_denoising_family_can_be_sampled_ancestrally(family: str) -> None:
    pipeline, labels = FAMILIES[family].tiny(), torch.tensor([0, 1])
    with torch.no_grad():
        found = pipeline.latents(labels, seed=1, solver="ddpm", steps=3)
        alone = pipeline.latents(labels[1:], seed=1, solver="ddpm", steps=3, first=1)
    assert found.isfinite().all()
    torch.testing.assert_close(alone[0], found[1], rtol=1e-4, atol=1e-4)


def test_guidance_leaves_other_channels_to_the_condition() -> None:
    c, u = torch.randn(2, 3, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    found = guided_noise(torch.cat([c, u]), 1.5, 3)
    torch.testing.assert_close(found[:, :3], u[:, :3] + 1.5 * (c[:, :3] - u[:, :3]))
    assert torch.equal(found[:, 3:], c[:, 3:])
