"""Reading and writing safetensors with errors that name the file, and storing floats narrowly."""

import errno
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


def write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a safetensors file; OSError when the disk is full or the path cannot be written."""
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(stored, path, metadata={"format": "pt"})
    except SafetensorError as error:
        # safetensors reports a full disk in words only; the caller needs the kind of error.
        kind = errno.ENOSPC if "No space left" in str(error) else errno.EIO
        raise OSError(kind, str(error), str(path)) from error
    # safetensors creates files that only their owner can read.
    path.chmod(0o644)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file; ValueError when it is truncated or not one."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}): copy or download it again"
        ) from error


def fill(
    network: nn.Module, tensors: Mapping[str, Tensor], source: object, skip: tuple[str, ...] = ()
) -> None:
    """Copy `tensors` into the network, in place, but for the state under the prefixes in `skip`.

    ValueError unless every tensor has its place and its shape.
    """
    state = {n: t for n, t in network.state_dict().items() if not n.startswith(skip)}
    wrong = sorted(state.keys() ^ tensors.keys())
    wrong += [n for n in state if n in tensors and state[n].shape != tensors[n].shape]
    if wrong:
        raise ValueError(f"{source} does not hold the weights of this network: {wrong[0]} differs")
    for name, tensor in state.items():
        tensor.copy_(tensors[name])


def check_finite(name: str, tensor: Tensor, model: str) -> None:
    """Raise ValueError when the tensor called `name` of `model` holds a NaN or an infinity."""
    wrong = ~torch.isfinite(tensor)
    if bool(wrong.any()):
        raise ValueError(
            f"{model} has {int(wrong.sum())} values in {name} that are NaN or infinite: "
            "the checkpoint is damaged, load another one"
        )


def narrow(tensor: Tensor) -> Tensor:
    """The tensor as bfloat16 when that loses nothing, else unchanged.

    Weights that were loaded from bfloat16 and computed with in float32 go back to two bytes.
    """
    if tensor.dtype != torch.float32:
        return tensor
    short = tensor.to(torch.bfloat16)
    return short if torch.equal(short.to(torch.float32), tensor) else tensor
