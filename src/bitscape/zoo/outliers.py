"""Outlier twins: the same function with activations as hard to quantize as in released models.

Some AdaLN channels are scaled up and the consumers' columns down by the same powers of two, drawn
heavy-tailed from a seed. Powers of two change no mantissa, so full precision computes the same
numbers, but one range now has to hold channels of very different size.
"""

from typing import Any

import torch
from jaxtyping import Float
from scipy.stats import chi2
from torch import Tensor

from bitscape.structure import Absorb, Pipeline, Role

SEED = 20_250
LARGEST = 6


def outlier_scales(channels: int, generator: torch.Generator) -> Float[Tensor, " channel"]:
    """Powers of two for `channels` channels: most near one, a few up to 2^LARGEST.

    The exponent is |Student-t with 1.5 degrees of freedom|, rounded down and cut off at LARGEST.
    """
    normal = torch.randn(channels, generator=generator)
    # chi-square with 1.5 degrees of freedom, as twice a Gamma(0.75): sampled by its quantiles.
    uniform = torch.rand(channels, generator=generator, dtype=torch.float64)
    chi = _chi_square_quantile(uniform, 1.5).float()
    exponent = (normal / (chi / 1.5).sqrt()).abs().floor().clamp_max(LARGEST)
    return torch.pow(2.0, exponent)


@torch.no_grad()
def plant_outliers(pipeline: Pipeline) -> None:
    """Scale the AdaLN outputs of `pipeline` up and their consumers' columns down, in place."""
    roles = {site.name: site.role for site in pipeline.adapter.sites(pipeline.network)}
    generator = torch.Generator().manual_seed(SEED)
    for fold in pipeline.adapter.folds(pipeline.network):
        if Absorb.SCALE not in fold.takes or roles[fold.consumers[0]] is Role.PROJ:
            continue
        consumers: list[Any] = [pipeline.network.get_submodule(n) for n in fold.consumers]
        scales = outlier_scales(consumers[0].weight.shape[1], generator)
        # A producer that divides by 1/s emits s times its output.
        fold.push(pipeline.network, 1 / scales, torch.zeros_like(scales))
        for layer in consumers:
            layer.weight /= scales.view(-1, *[1] * (layer.weight.ndim - 2))


def _chi_square_quantile(uniform: Tensor, degrees: float) -> Tensor:
    return torch.from_numpy(chi2.ppf(uniform.numpy(), degrees)).clamp_min(1e-3)
