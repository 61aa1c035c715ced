"""Ancestral sampling."""

import torch

from bitscape.models.ddpm import DDPM
from bitscape.models.diffusion import Diffusion
from bitscape.structure import Randomness


def path(steps: int) -> DDPM:
    return DDPM(Diffusion(), steps, Randomness(0, range(2)))


def test_the_true_noise_leads_back_to_the_clean_latent() -> None:
    clean, solver = torch.randn(2, 3, 4, 4), path(5)
    noise = torch.randn(2, 3, 4, 4)
    last = len(solver.times) - 1
    a = solver.signal[last]
    x = a**0.5 * clean + (1 - a) ** 0.5 * noise
    torch.testing.assert_close(solver.step(x, noise, last), clean, rtol=1e-4, atol=1e-4)


def test_steps_keep_the_variance_of_the_forward_process() -> None:
    """With its true noise, unit Gaussian data stay unit Gaussian at every timestep."""
    solver = DDPM(Diffusion(), 250, Randomness(0, range(64)))
    x = torch.randn(64, 1, 16, 16)
    for position in range(200):
        # The posterior's expected noise of unit Gaussian data is sqrt(1 - a) x.
        noise = (1 - solver.signal[position]) ** 0.5 * x
        x = solver.step(x, torch.cat([noise, torch.ones_like(x)], dim=1), position)
    assert abs(float(x.std()) - 1) < 0.02


def test_a_learned_variance_lies_between_its_bounds() -> None:
    x, noise = torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)
    spread = {}
    for name, v in (("low", -1.0), ("high", 1.0), ("middle", 0.0)):
        prediction = torch.cat([noise, torch.full_like(noise, v)], dim=1)
        spread[name] = float(path(10).step(x, prediction, 5).std())
    alone = float(path(10).step(x, noise, 5).std())
    assert spread["low"] < spread["middle"] < spread["high"]
    assert alone == spread["low"]
    assert abs(spread["middle"] ** 2 - spread["low"] * spread["high"]) < 1e-6
