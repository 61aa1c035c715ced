"""The cosine schedule and ancestral sampling."""

import pytest
import torch

from bitscape.models.ancestral import Ancestral, CosineDiffusion, ancestral_step


def test_the_schedule_is_that_of_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    torch.testing.assert_close(
        CosineDiffusion().signal().float(), scheduler.alphas_cumprod, rtol=1e-4, atol=1e-9
    )


def test_every_step_of_the_full_schedule_is_that_of_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDPMScheduler(
        beta_schedule="squaredcos_cap_v2", clip_sample=False, variance_type="learned_range"
    )
    path = Ancestral(CosineDiffusion(), 1000)
    drawn = torch.Generator().manual_seed(0)
    x, noise, variance = torch.randn(3, 2, 4, generator=drawn)
    for t in (999, 500, 2, 0):
        generator = torch.Generator().manual_seed(t)
        draw = torch.randn(2, 4, generator=torch.Generator().manual_seed(t))
        output = torch.cat([noise, variance], dim=1)
        expected = scheduler.step(output, t, x, generator=generator).prev_sample
        found = path.step(x, noise, variance, 999 - t, draw)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_a_perfect_prediction_recovers_the_clean_sample() -> None:
    diffusion = CosineDiffusion()
    path = Ancestral(diffusion, 5)
    clean, noise = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    t = torch.full((3,), path.times[-1])
    x = diffusion.add_noise(clean, noise, t)
    torch.testing.assert_close(path.step(x, noise, None, 4, x), clean, rtol=1e-4, atol=1e-4)


def test_the_variance_lies_between_its_bounds() -> None:
    path = Ancestral(CosineDiffusion(), 10)
    x, noise, draw = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0)).abs()
    ends = [torch.full_like(x, v) for v in (-1.0, 0.0, 1.0)]
    low, middle, high = (path.step(x, noise, v, 3, draw) for v in ends)
    assert (low < middle).all()
    assert (middle < high).all()
    torch.testing.assert_close(path.step(x, noise, None, 3, draw), low)


def test_the_bound_holds_the_clean_prediction() -> None:
    bounded = Ancestral(CosineDiffusion(), 20, clip=2.0)
    x, noise, draw = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
    a, before = bounded.signal[:2]
    # At the noisiest step x0 is out of bounds everywhere, so the mean is known.
    low = ancestral_step(x, torch.full_like(x, -2.0), None, a, before, draw)
    high = ancestral_step(x, torch.full_like(x, 2.0), None, a, before, draw)
    found = bounded.step(x, noise, None, 0, draw)
    torch.testing.assert_close(found, torch.where(x > noise, high, low))


@pytest.mark.parametrize("steps", [1, 1001])
def test_a_number_of_steps_out_of_range_is_refused(steps: int) -> None:
    with pytest.raises(ValueError, match=f"{steps} sampling steps"):
        CosineDiffusion().spaced(steps)


def test_spaced_timesteps_are_those_of_the_released_code() -> None:
    assert CosineDiffusion().spaced(5) == [999, 749, 500, 250, 0]
    assert CosineDiffusion().spaced(100)[:3] == [999, 989, 979]
