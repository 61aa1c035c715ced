"""Rounding that can be taken back, so that later blocks are looked at behind quantized ones."""

from collections.abc import Mapping, Sequence

from torch import nn

from bitscape.calibration import StepSamples, Unit
from bitscape.formats import SiteScheme
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes.fold_view import nearest_weight
from bitscape.passes.quantize_activations import QuantizeActivations
from bitscape.passes.site_weight import layer_of, matrix_of
from bitscape.quantizers import RangeRule
from bitscape.structure import Pipeline, Site


class Provisional:
    """Layers whose weights and inputs are rounded to nearest for the time being.

    The weight's rounding is a `delta`, so that the weight itself stays as it is.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        schemes: Mapping[str, SiteScheme],
        weight_range: RangeRule,
        activations: QuantizeActivations,
    ) -> None:
        self.pipeline, self.schemes = pipeline, schemes
        self.weight_range, self.activations = weight_range, activations
        self.layers: list[QuantLinear | QuantConv2d] = []

    def round(self, sites: Sequence[Site], unit: Unit) -> None:
        """Round the sites of a block; static ranges are those of its present inputs."""
        static: dict[str, StepSamples] = {}
        pairs = [(site, layer_of(self.pipeline.network, site.name)) for site in sites]
        for site, layer in pairs:
            assert layer.weight is not None
            W = matrix_of(layer)
            scheme = self.schemes[site.name]
            delta = nearest_weight(W, scheme.weight, self.weight_range) - W
            layer.delta = nn.Parameter(delta.view_as(layer.weight).to(layer.weight.dtype))
            self.layers.append(layer)
            if scheme.activation is not None and not scheme.activation.dynamic:
                static[site.name] = StepSamples(site)
        unit.observe(static)
        for site, layer in pairs:
            activation = self.schemes[site.name].activation
            if activation is not None:
                quantizer = layer.quantize_activation(activation)
                if site.name in static:
                    self.activations.fill(quantizer, static[site.name], self.pipeline, site)

    def restore(self) -> None:
        """Take all of it back."""
        for layer in self.layers:
            layer.delta = None
            layer.activation = None
