"""The schedule and the DDIM solver, against diffusers as an independent implementation."""

import pytest
import torch

from bitscape.models import FAMILIES
from bitscape.models.diffusion import Diffusion
from bitscape.structure import WeighsSteps


def test_a_perfect_prediction_recovers_the_clean_latent() -> None:
    diffusion = Diffusion()
    drawn = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 3, 2, 4, 4, generator=drawn)
    x = diffusion.add_noise(clean, noise, torch.full((3,), 600))
    torch.testing.assert_close(diffusion.ddim(x, noise, 600, None), clean, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("t", "before"), [(999, 946), (500, 450), (53, 0)])
def test_ddim_equals_the_diffusers_scheduler(t: int, before: int) -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(
        beta_start=1e-4, beta_end=0.02, beta_schedule="linear", clip_sample=False
    )
    scheduler.set_timesteps(1000 // (t - before))
    scheduler.num_inference_steps = 1
    scheduler.config.num_train_timesteps = t - before
    drawn = torch.Generator().manual_seed(1)
    x, noise = torch.randn(2, 1, 2, 4, 4, generator=drawn)
    expected = scheduler.step(noise, t, x).prev_sample
    torch.testing.assert_close(
        Diffusion().ddim(x, noise, t, before), expected, rtol=1e-4, atol=1e-5
    )


def test_spaced_timesteps_run_from_the_noisiest_to_zero() -> None:
    times = Diffusion().spaced(20)
    assert times[0] == 999
    assert times[-1] == 0
    assert (times.diff() < 0).all()


@pytest.mark.parametrize("steps", [0, 1001])
def test_a_number_of_steps_out_of_range_is_refused(steps: int) -> None:
    with pytest.raises(ValueError, match=f"{steps} sampling steps"):
        Diffusion().spaced(steps)


@pytest.mark.parametrize("to_clean", [True, False])
def test_influence_is_how_the_next_latent_moves_with_the_noise(to_clean: bool) -> None:
    diffusion = Diffusion(to_clean=to_clean)
    times = diffusion.spaced(5).tolist()
    x, noise = torch.randn(2, 1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    moved = [
        diffusion.ddim(x, noise + 1, t, before) - diffusion.ddim(x, noise, t, before)
        for t, before in zip(times, [*times[1:], None], strict=True)
    ]
    squares = torch.stack([each.square().mean() for each in moved])
    expected = squares / squares.mean()
    torch.testing.assert_close(diffusion.influence(5).float(), expected, rtol=1e-3, atol=1e-6)


def test_a_timestep_between_stops_weighs_what_the_nearest_does() -> None:
    adapter = FAMILIES["dit"].tiny().adapter
    assert isinstance(adapter, WeighsSteps)
    stops = adapter.diffusion.spaced(4)
    at = adapter.influence(stops[:, None], 4)
    torch.testing.assert_close(
        adapter.influence(stops[:, None] + torch.tensor([[-1], [2], [1], [3]]), 4), at
    )
    assert at.mean() == pytest.approx(1.0)
