"""Joining safetensors files without holding their tensors: for networks larger than memory."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# The library writes wide types first, in this order, and names of one type in theirs; the same
# order here makes the same bytes.
_ORDER = ("I64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "I8", "U8", "BOOL")
_LENGTH = 8


def merge_tensors(parts: Sequence[Path], out: Path) -> None:
    """Write the tensors of all `parts`, whose names differ, to one file.

    The result is the same, to the byte, as writing them together. ValueError for a name that two
    parts hold, and for a tensor of a type that artefacts do not hold.
    """
    found = [(name, entry, part) for part in parts for name, entry in _header(part)[1].items()]
    holders: dict[str, Path] = {}
    for name, entry, part in found:
        if name in holders:
            raise ValueError(f"{part} and {holders[name]} both hold {name}: write it to one part")
        holders[name] = part
        if entry["dtype"] not in _ORDER:
            raise ValueError(f"{part}: {name} is of type {entry['dtype']}, which is not written")
    found.sort(key=lambda item: (_ORDER.index(item[1]["dtype"]), item[0]))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, entry, _ in found:
        size = _size(entry)
        header[name] = {**entry, "data_offsets": [start, start + size]}
        start += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH)
    with out.open("wb") as file:
        file.write(len(text).to_bytes(_LENGTH, "little") + text)
        for _, entry, part in found:
            _copy(part, entry["data_offsets"][0], _size(entry), file)
    out.chmod(0o644)


def _header(path: Path) -> tuple[int, dict[str, Any]]:
    """Where the data begin, and the description of each tensor."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        header: dict[str, Any] = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return _LENGTH + length, header


def _size(entry: dict[str, Any]) -> int:
    begin, end = entry["data_offsets"]
    return int(end - begin)


def _copy(part: Path, offset: int, size: int, file: Any) -> None:
    with part.open("rb") as source:
        source.seek(_header(part)[0] + offset)
        shutil.copyfileobj(_Limited(source, size), file)


class _Limited:
    """The next `size` bytes of a file, as something that can be read."""

    def __init__(self, file: Any, size: int) -> None:
        self.file = file
        self.left = size

    def read(self, count: int = -1) -> bytes:
        chunk: bytes = self.file.read(self.left if count < 0 else min(count, self.left))
        self.left -= len(chunk)
        return chunk
