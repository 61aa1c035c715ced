"""The Python interface: load a model, quantize it, sample, save, evaluate."""

from bitscape.api.analyze import analyze
from bitscape.api.catalogue import catalogue
from bitscape.api.compare import Comparison, compare
from bitscape.api.distill import distill, trained_recipe
from bitscape.api.doctor import doctor
from bitscape.api.estimate import Estimate, estimate_evaluate, estimate_quantize
from bitscape.api.evaluate import evaluate
from bitscape.api.layers import LayerPlan, plan_layers
from bitscape.api.load import load
from bitscape.api.model import Conditions, Model
from bitscape.api.nested import read_at
from bitscape.api.quantize import quantize

__all__ = [
    "Comparison",
    "Conditions",
    "Estimate",
    "LayerPlan",
    "Model",
    "analyze",
    "catalogue",
    "compare",
    "distill",
    "doctor",
    "estimate_evaluate",
    "estimate_quantize",
    "evaluate",
    "load",
    "plan_layers",
    "quantize",
    "read_at",
    "trained_recipe",
]
