"""Why a model tolerates quantization or does not: studies of its steps and layers."""

from bitscape.analysis.activations import ActivationStudy, activation_study
from bitscape.analysis.analyze import analyze
from bitscape.analysis.bisect import Bisection, bisection, separable
from bitscape.analysis.steps import LayerStudy, StepStudy, step_study
from bitscape.analysis.tolerance import (
    AccumulationStudy,
    ToleranceStudy,
    accumulation_study,
    tolerance_study,
)
from bitscape.analysis.trace import Subject

__all__ = [
    "AccumulationStudy",
    "ActivationStudy",
    "Bisection",
    "LayerStudy",
    "StepStudy",
    "Subject",
    "ToleranceStudy",
    "accumulation_study",
    "activation_study",
    "analyze",
    "bisection",
    "separable",
    "step_study",
    "tolerance_study",
]
