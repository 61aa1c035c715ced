"""Training: one resumable loop and the optimizers it drives."""

from bitscape.training.lazy import LazyAdam
from bitscape.training.loop import Progress, Run, Task, train
from bitscape.training.optimizers import adamw, muon
from bitscape.training.plan import Plan
from bitscape.training.ranks import Ranks, process_group
from bitscape.training.shards import gather, shard, whole

__all__ = [
    "LazyAdam",
    "Plan",
    "Progress",
    "Ranks",
    "Run",
    "Task",
    "adamw",
    "gather",
    "muon",
    "process_group",
    "shard",
    "train",
    "whole",
]
