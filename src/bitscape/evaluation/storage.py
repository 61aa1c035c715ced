"""Where something long is kept in parts, one file each."""

from pathlib import Path


def part_path(folder: Path, part: range) -> Path:
    """Where `folder` keeps the rows `part` of something long.

    Both ends are in the name: the short last part of a small run is not the start of the full part
    of a larger one, whose batch would differ.
    """
    return folder / f"{part.start:06d}-{part.stop:06d}.safetensors"
