"""Files that others wrote: what tensors they hold, read one at a time and never unpickled freely.

safetensors (one file or shards behind an index), torch's zip files (`.pt`, `.pth`, `.ckpt`), and
diffusers' folders. A dictionary of dictionaries, and a folder of folders, is a file with parts.
"""

import json
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

INDEX = ".safetensors.index.json"
PIPELINE = "model_index.json"
WHOLE = "pipeline"
"""The part of a diffusers folder that holds every tensor, under the name of its own part."""
_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class Stored:
    """One tensor of a file, not read yet."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]


Part = Mapping[str, Stored]


@dataclass(frozen=True)
class ForeignFile:
    """A checkpoint as it was published.

    `parts` holds the tensors of each dictionary in it by its dotted path, "" for the outermost;
    dictionaries without tensors are left out. `files` are those that hold the tensors.
    """

    path: Path
    format: str
    parts: Mapping[str, Part]
    files: tuple[Path, ...]


class Inert:
    """Stands for an object of a class that is not ours: it takes everything and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def open_foreign(path: Path) -> ForeignFile:
    """What `path` holds; nothing but names and shapes is read.

    FileNotFoundError when it does not exist; ValueError, with the remedy, when it is truncated, of
    no known format, in torch's format of before 1.6, or a pickle of foreign classes.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise FileNotFoundError(f"the checkpoint {path} does not exist")
    if path.name.endswith(INDEX):
        return _sharded(path)
    if path.suffix == ".safetensors":
        return ForeignFile(path, "safetensors", {"": dict(_safetensors(path))}, (path,))
    return ForeignFile(path, "torch", _torch_parts(path), (path,))


def _folder(path: Path) -> ForeignFile:
    if (path / PIPELINE).is_file():
        inside = [p for p in sorted(path.iterdir()) if p.is_dir() and _weights_of(p) is not None]
        opened = {p.name: open_foreign(_weights_of(p) or p) for p in inside}
        parts = {name: part for name, file in opened.items() for part in file.parts.values()}
        files = tuple(f for file in opened.values() for f in file.files)
        if parts:
            held = {f"{name}.{key}": t for name, part in parts.items() for key, t in part.items()}
            parts = {**parts, WHOLE: held}
            return ForeignFile(path, "diffusers", parts, files)
    found = _weights_of(path)
    if found is None:
        raise ValueError(f"{path} holds no weights: give a checkpoint file or a diffusers folder")
    file = open_foreign(found)
    return ForeignFile(path, file.format, file.parts, file.files)


def _weights_of(folder: Path) -> Path | None:
    """The one file to open in a folder of weights; variants such as `.fp16.` come last."""
    names = [p for p in folder.iterdir() if p.name.endswith((INDEX, *_SUFFIXES))]
    shards = {p for p in names if "-of-" in p.stem}
    whole = sorted(
        set(names) - shards,
        key=lambda p: (p.stem.count("."), not p.name.endswith(INDEX), p.suffix != ".safetensors"),
    )
    return whole[0] if whole else None


def _sharded(index: Path) -> ForeignFile:
    try:
        places = json.loads(index.read_text())["weight_map"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{index} is not an index of shards: download it again") from error
    files = [index.with_name(name) for name in dict.fromkeys(places.values())]
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"the shard {file} does not exist: download it too")
    held = {key: stored for file in files for key, stored in _safetensors(file)}
    lost = [key for key in places if key not in held]
    if lost:
        raise ValueError(f"{index} names {lost[0]}, which its shards lack: download them again")
    return ForeignFile(index, "safetensors", {"": held}, tuple(files))


def _safetensors(path: Path) -> Iterator[tuple[str, Stored]]:
    try:
        file = safe_open(path, framework="pt")
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}): copy or download it again"
        ) from error
    for key in file.keys():  # noqa: SIM118 (not a mapping)
        view = file.get_slice(key)
        dtype = _DTYPES.get(view.get_dtype())
        if dtype is None:
            raise ValueError(f"{path}: {key} is of type {view.get_dtype()}, which is not read")
        yield key, Stored(tuple(view.get_shape()), dtype, _reader(file, key))


def _reader(file: Any, key: str) -> Callable[[], Tensor]:
    return lambda: file.get_tensor(key)


def _torch_parts(path: Path) -> Mapping[str, Part]:
    _require_zip(path)
    try:
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        stand_ins: list[Any] = [(Inert, name) for name in foreign if _bookkeeping(name)]
        with torch.serialization.safe_globals(stand_ins):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        names = ", ".join(name for name in foreign if not _bookkeeping(name)) or "unknown classes"
        raise ValueError(
            f"{path} is a pickle of {names}, which is not executed: where you trust it, save its "
            "tensors alone as safetensors once, and load that"
        ) from error
    except (RuntimeError, EOFError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path} is no checkpoint of torch ({reason}): download it again"
        ) from error
    parts = dict(_dictionaries(content, ""))
    if not parts:
        raise ValueError(f"{path} holds no dictionary of tensors: it is not a checkpoint")
    return parts


def _bookkeeping(name: str) -> bool:
    """Whether a class says how a training ran, and nothing of the weights."""
    return name == "argparse.Namespace" or name.startswith(("pytorch_lightning.", "lightning."))


def _require_zip(path: Path) -> None:
    if zipfile.is_zipfile(path):
        return
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(b"PK"):
        raise ValueError(f"{path} is truncated: copy or download it again")
    if start.startswith(b"\x80"):
        raise ValueError(
            f"{path} is in torch's format of before 1.6, which cannot be read in pieces: convert "
            f"it once with torch.save(torch.load({path.name!r}, weights_only=True), 'new.pt')"
        )
    raise ValueError(f"{path} is neither safetensors nor a torch file: is it a checkpoint?")


def _dictionaries(content: Any, place: str) -> Iterator[tuple[str, Part]]:
    """Each dictionary of tensors in `content`, with its dotted path."""
    if not isinstance(content, Mapping):
        return
    named = {key: value for key, value in content.items() if isinstance(key, str)}
    tensors = {k: v for k, v in named.items() if isinstance(v, Tensor)}
    if tensors:
        yield place, {k: Stored(tuple(v.shape), v.dtype, _held(v)) for k, v in tensors.items()}
    for key, value in named.items():
        yield from _dictionaries(value, f"{place}.{key}" if place else key)


def _held(tensor: Tensor) -> Callable[[], Tensor]:
    return lambda: tensor
