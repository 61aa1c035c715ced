"""Grids of runs: each cell once, resumable at any moment, one record a cell."""

from bitscape.laws import RECORDS
from bitscape.sweeps.estimate import Estimate, estimate_cells
from bitscape.sweeps.executor import Executor
from bitscape.sweeps.from_grid import estimate, sweep
from bitscape.sweeps.grid import FULL_PRECISION, Cell, Evaluation, Grid, read_grid
from bitscape.sweeps.library import LibraryRunner, bits
from bitscape.sweeps.local import LocalExecutor
from bitscape.sweeps.memory import MemoryNeeds, free_memory
from bitscape.sweeps.provenance import other_versions
from bitscape.sweeps.ray_tasks import RayExecutor
from bitscape.sweeps.runner import Attempt, Cost, Runner, failed
from bitscape.sweeps.session import Progress, Watch, pending, run_cells

__all__ = [
    "FULL_PRECISION",
    "RECORDS",
    "Attempt",
    "Cell",
    "Cost",
    "Estimate",
    "Evaluation",
    "Executor",
    "Grid",
    "LibraryRunner",
    "LocalExecutor",
    "MemoryNeeds",
    "Progress",
    "RayExecutor",
    "Runner",
    "Watch",
    "bits",
    "estimate",
    "estimate_cells",
    "failed",
    "free_memory",
    "other_versions",
    "pending",
    "read_grid",
    "run_cells",
    "sweep",
]
