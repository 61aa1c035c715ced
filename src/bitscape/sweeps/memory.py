"""How much memory is free here, and how much a cell needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bitscape.laws import RunRecord
from bitscape.sweeps.grid import FULL_PRECISION, Cell
from bitscape.sweeps.runner import Runner

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def free_memory() -> int:
    """Bytes that new processes can take: of the machine, or of the container if that is less.

    ValueError where the system does not say.
    """
    if not _MEMINFO.is_file():
        raise ValueError("this system does not say how much memory is free: give --memory")
    lines = (line.split() for line in _MEMINFO.read_text().splitlines())
    free = next(int(words[1]) * 1024 for words in lines if words[0] == "MemAvailable:")
    return min(free, _free_in_group(free))


def _free_in_group(otherwise: int) -> int:
    """What the control group of a container leaves, cached files counted as free."""
    try:
        limit = (_GROUP / "memory.max").read_text().strip()
        used = int((_GROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (_GROUP / "memory.stat").read_text().splitlines())
    except OSError:
        return otherwise
    return otherwise if limit == "max" else int(limit) - used + int(stat["inactive_file"])


@dataclass
class MemoryNeeds:
    """Bytes a cell needs: what it took before, or a probe.

    The peak of a finished run of the same model and recipe; else the larger of a probe, made once a
    model and evaluation, and of the peaks of this model's runs. `known` may grow meanwhile.
    """

    runner: Runner
    known: Mapping[str, RunRecord]
    probed: dict[tuple[str, str, bool], int] = field(default_factory=dict)

    def __call__(self, cell: Cell) -> int:
        """Peak bytes of a process that runs `cell`."""
        peaks = [
            (record.recipe, record.peak_memory_bytes)
            for record in self.known.values()
            if record.status == "done" and record.model == cell.model and record.peak_memory_bytes
        ]
        same = [peak for recipe, peak in peaks if recipe == cell.label]
        if same:
            return max(same)
        evaluation = cell.evaluation.model_dump_json()
        kind = (cell.model, evaluation, cell.recipe == FULL_PRECISION)
        if kind not in self.probed:
            try:
                self.probed[kind] = self.runner.probe(cell).memory_bytes
            except Exception:  # a cell that cannot be probed fails when it runs, with its reason
                self.probed[kind] = 0
        return max([self.probed[kind], *(peak for _, peak in peaks)])
