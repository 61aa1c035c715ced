"""Named tensors in one safetensors file."""

from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from bitscape.files.whole import write_whole


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Put a safetensors file at `path`, whole or not at all; `metadata` stands in its header.

    Tensors may lie on any device and in any order of their numbers.
    """
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    told = None if metadata is None else dict(metadata)
    write_whole(path, safetensors.torch.save(ready, told))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU; ValueError naming a file that was damaged."""
    try:
        return safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and run again") from error
