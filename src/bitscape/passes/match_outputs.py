"""Rounding weights towards the outputs of full precision, behind layers already rounded."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from bitscape.algorithms import matched_bias, matched_weight
from bitscape.calibration import PairedInputs, Unit, Whole
from bitscape.formats import TensorScheme
from bitscape.nn import CodedWeight, QuantConv2d, QuantLinear
from bitscape.passes.base import Context
from bitscape.passes.block_inputs import BlockInputs
from bitscape.passes.quantize_activations import QuantizeActivations
from bitscape.passes.rounders import Rounded, Rounder
from bitscape.structure import Pipeline

DAMPING = 0.05
"""How strongly a weight is held where it is, in units of the mean square of the inputs."""


@dataclass(frozen=True)
class Matching:
    """The network being rounded, the one in full precision beside it, and the inputs' quantizers.

    `teacher` shares the clocks of the network.
    """

    network: nn.Module
    teacher: nn.Module
    inputs: BlockInputs

    @classmethod
    def of(cls, pipeline: Pipeline, context: Context, ranges: QuantizeActivations) -> "Matching":
        """The network of `pipeline`, which nothing is rounded in yet, beside a copy of itself."""
        clocks = {id(clock): clock for clock in pipeline.clocks.values()}
        teacher = copy.deepcopy(pipeline.network, clocks)
        return cls(pipeline.network, teacher, BlockInputs(pipeline, context, ranges))

    def observe(self, place: Unit | Whole, names: Sequence[str]) -> dict[str, PairedInputs]:
        """The inputs of the sites `names` beside those that they have in full precision."""
        kept = {name: self._empty(name) for name in names}
        place.observe_both(kept)
        return kept

    def round(
        self, name: str, rounder: Rounder, scheme: TensorScheme, seen: PairedInputs
    ) -> Rounded:
        """The codes of one site, and its bias if it has one."""
        layer = self._layer(name)
        W = layer.effective_weight().detach().flatten(1).float()
        drift = seen.drift(centred=layer.bias is not None)
        rounded = rounder(matched_weight(W, drift.H, drift.D, DAMPING), scheme, drift.H.float())
        if layer.bias is None:
            return rounded
        W_hat = CodedWeight(rounded.codes, rounded.grid, scheme).dequantize().flatten(1)
        bias = matched_bias(layer.bias.detach(), W, drift.full, W_hat, drift.own)
        return replace(rounded, bias=bias)

    def _empty(self, name: str) -> PairedInputs:
        weight = self._layer(name).weight
        assert weight is not None
        return PairedInputs(weight[0].numel(), weight.device)

    def _layer(self, name: str) -> QuantLinear | QuantConv2d:
        layer = self.network.get_submodule(name)
        assert isinstance(layer, QuantLinear | QuantConv2d)
        return layer
