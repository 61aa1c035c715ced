"""The training tasks: what a step draws, and that it draws the same again."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bitscape.models import FAMILIES
from bitscape.structure import Kind
from bitscape.zoo.encoded import Encoded
from bitscape.zoo.tasks import TASKS, block_matrices, stratified, velocity_weights


@pytest.fixture
def data() -> Encoded:
    drawn = np.random.default_rng(0)
    return Encoded(
        tokens=drawn.integers(32, size=(40, 21)).astype(np.int16),
        latents=drawn.standard_normal((40, 8, 4, 4)).astype(np.float16),
        labels=drawn.integers(10, size=40).astype(np.int8),
        raster=drawn.integers(32, size=(40, 16)).astype(np.int16),
    )


@pytest.mark.parametrize("family", list(TASKS))
def test_a_step_is_repeatable_and_another_one_differs(family: str, data: Encoded) -> None:
    task = TASKS[family](FAMILIES[family].tiny(), data, 0, 8)
    first, again, other = (task.losses(step)["loss"] for step in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    first.backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in task.module.parameters())


def test_raster_tokens_that_were_never_made_are_named_with_the_stage(data: Encoded) -> None:
    task = TASKS["llamagen"](FAMILIES["llamagen"].tiny(), replace(data, raster=None), 0, 8)
    with pytest.raises(FileNotFoundError, match="train the stage raster"):
        task.losses(0)


@pytest.mark.parametrize("family", list(TASKS))
def test_block_matrices_are_those_of_the_sites_in_blocks(family: str) -> None:
    pipeline = FAMILIES[family].tiny()
    network, adapter = pipeline.network, pipeline.adapter
    inside = tuple(f"{block.name}." for block in adapter.blocks(network))
    # A block may be a single site, as a U-Net's first convolution is.
    sites = [site for site in adapter.sites(network) if f"{site.name}.".startswith(inside)]
    weights = [network.get_submodule(s.name).weight for s in sites if s.kind is not Kind.ATTEND]
    assert {id(p) for p in block_matrices(pipeline)} == {id(w) for w in weights}


def test_stratified_timesteps_fall_evenly() -> None:
    t = stratified(1000, 1000, torch.Generator().manual_seed(0))
    assert torch.equal(t, torch.arange(1000))


def test_velocity_weights_have_mean_one_and_a_bound() -> None:
    weights = velocity_weights(torch.tensor([1.0, 0.5, 1e-9], dtype=torch.float64))
    assert weights.mean().item() == pytest.approx(1)
    assert (weights / weights[0]).tolist() == pytest.approx([1, 2, 100])
