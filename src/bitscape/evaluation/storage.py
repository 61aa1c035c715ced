"""Files that are either whole or absent, whatever moment a run is killed at."""

import os
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` at `path`: written beside it, flushed to the disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Put a safetensors file at `path`, whole or not at all."""
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(path, safetensors.torch.save(ready))


def part_path(folder: Path, part: range) -> Path:
    """Where `folder` keeps the rows `part` of something long.

    Both ends are in the name: the short last part of a small run is not the start of the full part
    of a larger one, whose batch would differ.
    """
    return folder / f"{part.start:06d}-{part.stop:06d}.safetensors"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; ValueError naming a file that was damaged."""
    try:
        return safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and run again") from error
