"""Samples of activations: the right step, the right split, the true extremes."""

import torch

from bitscape.calibration import StepSamples
from bitscape.structure import Role, Site, constant_step


def test_extremes_are_exact_and_the_sample_bounded() -> None:
    samples = StepSamples(Site("a", Role.QKV), per_call=10)
    x = torch.randn(2, 50, 8, generator=torch.Generator().manual_seed(0))
    samples.update(x, constant_step(3))
    [values] = samples.row([3])
    assert (values.min(), values.max()) == (x.min(), x.max())
    assert len(values) <= 12
    assert samples.positions() == [3]


def test_tokens_and_samples_fall_to_their_own_steps() -> None:
    x = torch.arange(6.0).view(2, 3, 1)
    by_token = StepSamples(Site("a", Role.QKV))
    by_token.update(x, torch.tensor([[0, 0, 4]]))
    assert by_token.row([4])[0].unique().tolist() == [2, 5]
    by_sample = StepSamples(Site("a", Role.QKV))
    by_sample.update(x, torch.tensor([[1], [2]]))
    assert by_sample.row([2])[0].unique().tolist() == [3, 4, 5]
    assert by_sample.row([1, 2])[0].unique().tolist() == [0, 1, 2, 3, 4, 5]


def test_a_vector_serves_every_step_of_its_call() -> None:
    samples = StepSamples(Site("a", Role.ADA, tokens=False))
    samples.update(torch.tensor([[1.0], [2.0]]), torch.tensor([[0, 1, 1]]))
    assert samples.positions() == [0, 1]
    assert all(samples.row([step])[0].unique().tolist() == [1, 2] for step in (0, 1))


def test_splits_are_kept_apart() -> None:
    samples = StepSamples(Site("a", Role.QKV, splits=(1, 2)))
    samples.update(torch.tensor([[[1.0, 5.0, 7.0]]]), constant_step(0))
    first, second = samples.row([0])
    assert first.unique().tolist() == [1]
    assert second.unique().tolist() == [5, 7]
