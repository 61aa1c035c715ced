"""Pipelines that have been quantized without the machinery that this package does not need."""

from collections.abc import Callable

import pytest

from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.nn import QuantLinear, insert, quantized_sites
from bitscape.quantizers import RANGES, quantize_weight, weight_grid
from bitscape.structure import Pipeline


@pytest.fixture(scope="session")
def rounded() -> Callable[[str, str], Pipeline]:
    """A function from family and scheme to a tiny pipeline rounded to nearest at every site."""
    return _rounded


def _rounded(family: str, scheme_name: str) -> Pipeline:
    pipeline = FAMILIES[family].tiny()
    insert(pipeline.network, pipeline.adapter.sites(pipeline.network), pipeline.clocks)
    for module in quantized_sites(pipeline.network).values():
        scheme = parse_scheme(scheme_name).at(module.site.role.value)
        if not isinstance(module, QuantLinear) or module.weight is None:
            continue
        if scheme.weight is not None:
            weight = module.weight.detach()
            grid = weight_grid(weight, scheme.weight, RANGES["minmax"])
            module.set_codes(quantize_weight(weight, grid, scheme.weight), grid, scheme.weight)
        if scheme.activation is not None:
            module.quantize_activation(scheme.activation)
    return pipeline
