"""Passes: steps from model to model over the fields of the normal form, one idea a file."""

from bitscape.passes.base import Context, Field, Pass, Progress, check_order, run, silent
from bitscape.passes.quantize_activations import QuantizeActivations
from bitscape.passes.quantize_weights import QuantizeWeights, check_weights, weight_sites
from bitscape.passes.rounders import Greedy, Nearest, Rounded, Rounder, Vectors

__all__ = [
    "Context",
    "Field",
    "Greedy",
    "Nearest",
    "Pass",
    "Progress",
    "QuantizeActivations",
    "QuantizeWeights",
    "Rounded",
    "Rounder",
    "Vectors",
    "check_order",
    "check_weights",
    "run",
    "silent",
    "weight_sites",
]
