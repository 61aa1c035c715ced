"""Training: one resumable loop and the optimizers it drives."""

from bitscape.training.loop import Plan, Progress, Run, Task, train
from bitscape.training.optimizers import adamw, muon

__all__ = ["Plan", "Progress", "Run", "Task", "adamw", "muon", "train"]
