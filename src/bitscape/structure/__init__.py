"""The vocabulary that every other package shares; it knows neither models nor quantization."""

from bitscape.structure.adapter import Adapter, Lesson, Style, WeighsSteps
from bitscape.structure.attend import Attend, Cache, caches, merge_heads
from bitscape.structure.block import Block, chain
from bitscape.structure.call import Call, Tap, Trajectory, constant_step, drive, invoke
from bitscape.structure.clock import StepClock, net_of
from bitscape.structure.feed_forward import FeedForward
from bitscape.structure.fold import Absorb, Fold
from bitscape.structure.pipeline import Pipeline, ReadsPrompts, check_labels
from bitscape.structure.randomness import Randomness
from bitscape.structure.site import Kind, Role, Site

__all__ = [
    "Absorb",
    "Adapter",
    "Attend",
    "Block",
    "Cache",
    "Call",
    "FeedForward",
    "Fold",
    "Kind",
    "Lesson",
    "Pipeline",
    "Randomness",
    "ReadsPrompts",
    "Role",
    "Site",
    "StepClock",
    "Style",
    "Tap",
    "Trajectory",
    "WeighsSteps",
    "caches",
    "chain",
    "check_labels",
    "constant_step",
    "drive",
    "invoke",
    "merge_heads",
    "net_of",
]
