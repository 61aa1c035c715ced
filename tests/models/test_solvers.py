"""Solvers: DDIM agrees with diffusers' own, and every common scheduler runs a trajectory."""

import pytest
import torch

from bitscape.models import FAMILIES
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
