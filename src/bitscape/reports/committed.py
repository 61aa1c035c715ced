"""Fréchet distances at the full sample count, measured once and shipped with the package.

The demo has no time for thousands of images, so it shows a preview beside these. To measure them
again:  python -m bitscape.reports.measure --out src/bitscape/reports/committed.json
"""

import json
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path

from bitscape.files import write_whole


@dataclass(frozen=True)
class Committed:
    """FD-shapes by model and recipe, with what they share: protocol, sample count, commit."""

    protocol: str
    samples: int
    commit: str | None = None
    fd_shapes: dict[str, dict[str, float]] = field(default_factory=dict)

    def distance(self, model: str, recipe: str) -> float | None:
        """The value of one model under one recipe; None where none was measured."""
        return self.fd_shapes.get(model, {}).get(recipe)

    def add(self, model: str, recipe: str, distance: float) -> "Committed":
        """The same table with one more value."""
        row = {**self.fd_shapes.get(model, {}), recipe: distance}
        return replace(self, fd_shapes={**self.fd_shapes, model: row})


def read_committed(path: Path | None = None) -> Committed:
    """The table at `path`, by default the one in the package."""
    source = path or files("bitscape.reports").joinpath("committed.json")
    return Committed(**json.loads(source.read_text()))


def write_committed(table: Committed, path: Path) -> None:
    """Write `table` as JSON, whole or not at all."""
    write_whole(path, (json.dumps(asdict(table), indent=2, sort_keys=True) + "\n").encode())
