"""Rounding weights towards the outputs of full precision, behind layers already rounded."""

import copy
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor, nn

from bitscape.algorithms import matched_bias, matched_weight
from bitscape.calibration import PairedInputs
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
    """What stands beside the network being rounded: itself in full precision, sharing its clocks,
    and what puts the quantizers of its inputs in."""

    teacher: nn.Module
    inputs: BlockInputs

    @classmethod
    def of(cls, pipeline: Pipeline, context: Context, ranges: QuantizeActivations) -> "Matching":
        """For the network of `pipeline`, which nothing is rounded in yet."""
        clocks = {id(clock): clock for clock in pipeline.clocks.values()}
        teacher = copy.deepcopy(pipeline.network, clocks)
        return cls(teacher, BlockInputs(pipeline, context, ranges))


def paired_inputs_of(layer: QuantLinear | QuantConv2d) -> PairedInputs:
    """Empty moments for the weight matrix of `layer`."""
    assert layer.weight is not None
    return PairedInputs(layer.weight[0].numel(), layer.weight.device)


def round_matched(
    W: Float[Tensor, "out in"],
    bias: Float[Tensor, " out"] | None,
    rounder: Rounder,
    scheme: TensorScheme,
    seen: PairedInputs,
) -> Rounded:
    """The codes of one site, and its bias if it has one."""
    drift = seen.drift(centred=bias is not None)
    rounded = rounder(matched_weight(W, drift.H, drift.D, DAMPING), scheme, drift.H.float())
    if bias is None:
        return rounded
    W_hat = CodedWeight(rounded.codes, rounded.grid, scheme).dequantize().flatten(1)
    return replace(rounded, bias=matched_bias(bias.detach(), W, drift.full, W_hat, drift.own))
