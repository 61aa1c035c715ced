"""Outlier twins compute the same function with activations of very different size."""

import copy

import pytest
import torch
from torch import Tensor, nn

from bitscape.models import FAMILIES
from bitscape.structure import Pipeline
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
    """The largest over the median channel magnitude that the first qkv reads."""
    seen: list[Tensor] = []

    def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        seen.append(args[0].abs().amax(dim=(0, 1)))

    first = pipeline.adapter.blocks(pipeline.network)[0].name
    qkv = pipeline.network.get_submodule(f"{first}.attn.qkv")
    with qkv.register_forward_pre_hook(hook):
        pipeline.latents(torch.arange(4))
    magnitude = torch.stack(seen).amax(dim=0)
    return float(magnitude.max() / magnitude.median())
