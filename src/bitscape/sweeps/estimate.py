"""What a sweep will take, before it runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bitscape.laws import RECORDS, RunRecord, latest, load
from bitscape.sweeps.grid import FULL_PRECISION, Cell
from bitscape.sweeps.runner import Cost, Runner
from bitscape.sweeps.session import pending


@dataclass(frozen=True)
class Estimate:
    """Totals over the cells that still have to be run.

    `seconds` are those of one worker, `memory_bytes` those of the largest cell. `basis` says where
    the seconds of measuring come from: all from earlier records of the same model and evaluation,
    all from probes of a few samples, or both. Those of quantizing are from earlier records of the
    same model and recipe, else from a coarse count. `unready` says why cells could not be probed,
    which are then not in the totals.
    """

    cells: int
    finished: int
    seconds: float
    disk_bytes: int
    memory_bytes: int
    basis: Literal["records", "probes", "both", "nothing to do"]
    unready: tuple[str, ...] = ()


def estimate_cells(
    cells: Sequence[Cell], runner: Runner, out: Path, *, retry_failed: bool = False
) -> Estimate:
    """Time, disk and peak memory of the cells that `out` does not hold yet; writes nothing there.

    Each (model, evaluation) is probed once. Full precision counts once for each of them, whether
    the grid lists it or not.
    """
    known = latest(load(out / RECORDS))
    left = pending(cells, known, retry_failed=retry_failed)
    listed = {_kind(cell) for cell in cells if cell.recipe == FULL_PRECISION}
    probed: dict[str, Cost] = {}
    unready: dict[str, None] = {}
    seconds = []
    measured = counted = 0
    for cell in left:
        kind, past, made = _kind(cell), _past(cell, known), _made(cell, known)
        try:
            if kind not in probed:
                probed[kind] = runner.probe(cell)
                if kind not in listed and not past:
                    seconds.append(probed[kind].seconds)
            quantizing = _mean(made) if made else runner.quantize_seconds(cell)
        except (ValueError, FileNotFoundError) as error:
            unready[str(error)] = None
            continue
        counted += 1
        measured += bool(past)
        seconds.append(quantizing + (_mean(past) if past else probed[kind].seconds))
    return Estimate(
        cells=len(cells),
        finished=len(cells) - len(left),
        seconds=sum(seconds),
        # Only full precision's samples stay once a cell is done: one run a model and evaluation.
        disk_bytes=sum(cost.disk_bytes for cost in probed.values()),
        memory_bytes=max((cost.memory_bytes for cost in probed.values()), default=0),
        basis=_basis(measured, counted),
        unready=tuple(unready),
    )


def _kind(cell: Cell) -> str:
    """What cells share a probe."""
    return f"{cell.model} {cell.evaluation.model_dump_json()}"


def _past(cell: Cell, known: dict[str, RunRecord]) -> list[float]:
    """Seconds of measuring in finished runs of the same model and evaluation."""
    evaluation = cell.evaluation.model_dump(mode="json")
    return [
        record.seconds - (record.quantize_seconds or 0.0)
        for record in known.values()
        if record.status == "done"
        and record.model == cell.model
        and record.evaluation == evaluation
    ]


def _made(cell: Cell, known: dict[str, RunRecord]) -> list[float]:
    """Seconds of quantizing in finished runs of the same model and recipe."""
    return [
        record.quantize_seconds
        for record in known.values()
        if (record.status, record.model, record.recipe) == ("done", cell.model, cell.label)
        and record.quantize_seconds is not None
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _basis(measured: int, left: int) -> Literal["records", "probes", "both", "nothing to do"]:
    if left == 0:
        return "nothing to do"
    if measured == 0:
        return "probes"
    return "records" if measured == left else "both"
