"""Outlier twins compute the same function with activations of very different size."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bitscape.models import FAMILIES
from bitscape.structure import Pipeline, Role
from bitscape.zoo.outliers import LARGEST, outlier_scales, plant_outliers


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_twin_computes_the_same_function(family: str) -> None:
    pipeline = FAMILIES[family].tiny()
    twin = copy.deepcopy(pipeline)
    plant_outliers(twin)
    labels = torch.arange(6)
    with torch.no_grad():
        expected, got = pipeline.latents(labels), twin.latents(labels)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_twin_spreads_the_channels_of_its_sites(family: str) -> None:
    pipeline = FAMILIES[family].tiny()
    plain = channel_spread(pipeline)
    plant_outliers(pipeline)
    assert channel_spread(pipeline) > 2 * plain


def test_scales_are_powers_of_two_with_a_heavy_tail() -> None:
    scales = outlier_scales(4000, torch.Generator().manual_seed(0))
    exponents = scales.log2()
    assert torch.equal(exponents, exponents.round())
    assert exponents.min() == 0
    assert exponents.max() == LARGEST
    assert 0.4 < (exponents == 0).float().mean() < 0.7
    assert 0.005 < (exponents == LARGEST).float().mean() < 0.15


@torch.no_grad()
def channel_spread(pipeline: Pipeline) -> float:
    """The largest over the median channel magnitude that any qkv or fc1 reads."""
    seen: dict[str, list[Tensor]] = {}

    def noting(name: str) -> Callable[..., None]:
        return lambda _, args: seen.setdefault(name, []).append(
            args[0].abs().flatten(0, -2).amax(dim=0)
        )

    sites = pipeline.adapter.sites(pipeline.network)
    names = [site.name for site in sites if site.role in (Role.QKV, Role.FC1)]
    hooks = [pipeline.network.get_submodule(n).register_forward_pre_hook(noting(n)) for n in names]
    pipeline.latents(torch.arange(4))
    for hook in hooks:
        hook.remove()
    magnitudes = [torch.stack(inputs).amax(dim=0) for inputs in seen.values()]
    return max(float(m.max() / m.median()) for m in magnitudes)
