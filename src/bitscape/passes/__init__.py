"""Passes: steps from model to model over the fields of the normal form, one idea a file."""

from bitscape.passes.assign_bits import AssignBits
from bitscape.passes.balance_inputs import BalanceInputs
from bitscape.passes.base import Context, Field, Pace, Pass, Progress, check_order, run, silent
from bitscape.passes.distill import Distill
from bitscape.passes.fold_view import FoldView
from bitscape.passes.folding import apply_transform
from bitscape.passes.gain import FaithfulGain, Gain
from bitscape.passes.learned import Clip, UpOrDown
from bitscape.passes.learned_steps import InSteps
from bitscape.passes.learner import Learned, Learner
from bitscape.passes.mixed_precision import MixedPrecision
from bitscape.passes.nesting import Nesting, ReadAt
from bitscape.passes.objectives import Answer, Imitation, Objective, TrainingLoss
from bitscape.passes.quantize_activations import Index, QuantizeActivations
from bitscape.passes.quantize_weights import (
    QuantizeWeights,
    check_groups,
    check_weights,
    weight_sites,
)
from bitscape.passes.reconstruct import Reconstruct
from bitscape.passes.relations import JoinSteps, Relations
from bitscape.passes.rounders import Greedy, Nearest, Rounded, Rounder, Vectors
from bitscape.passes.rules import GRID, Dilate, MeanSmooth, Rotate, Rule, Smooth
from bitscape.passes.select_calibration import SelectCalibration
from bitscape.passes.split_low_rank import SplitLowRank
from bitscape.passes.training import Training
from bitscape.passes.transform import Transform
from bitscape.passes.transform_inputs import BEHIND_NORMS, EVERYWHERE, TransformInputs

__all__ = [
    "BEHIND_NORMS",
    "EVERYWHERE",
    "GRID",
    "Answer",
    "AssignBits",
    "BalanceInputs",
    "Clip",
    "Context",
    "Dilate",
    "Distill",
    "FaithfulGain",
    "Field",
    "FoldView",
    "Gain",
    "Greedy",
    "Imitation",
    "InSteps",
    "Index",
    "JoinSteps",
    "Learned",
    "Learner",
    "MeanSmooth",
    "MixedPrecision",
    "Nearest",
    "Nesting",
    "Objective",
    "Pace",
    "Pass",
    "Progress",
    "QuantizeActivations",
    "QuantizeWeights",
    "ReadAt",
    "Reconstruct",
    "Relations",
    "Rotate",
    "Rounded",
    "Rounder",
    "Rule",
    "SelectCalibration",
    "Smooth",
    "SplitLowRank",
    "Training",
    "TrainingLoss",
    "Transform",
    "TransformInputs",
    "UpOrDown",
    "Vectors",
    "apply_transform",
    "check_groups",
    "check_order",
    "check_weights",
    "run",
    "silent",
    "weight_sites",
]
