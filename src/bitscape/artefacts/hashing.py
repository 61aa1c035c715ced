"""Digests: how a folder notices that one of its files was truncated or edited."""

import hashlib
import json
from pathlib import Path
from typing import Any

from bitscape.artefacts.layout import HASHED, VOCABULARY

CHUNK = 1 << 20


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def json_sha256(value: Any) -> str:
    """The sha256 of a value's JSON with sorted keys, so that the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def folder_sha256(folder: Path) -> dict[str, str]:
    """The sha256 of each file of an artefact that the report vouches for."""
    words = sorted(path.relative_to(folder).as_posix() for path in (folder / VOCABULARY).glob("*"))
    return {name: file_sha256(folder / name) for name in (*HASHED, *words)}


def verify(folder: Path, expected: dict[str, str]) -> None:
    """Raise ValueError for the first file that is missing or is not the one that was written."""
    for name, digest in expected.items():
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{folder} is incomplete: {name} is missing; copy the folder again")
        if file_sha256(path) != digest:
            raise ValueError(
                f"{path} does not match the sha256 in {folder.name}/report.json: it was truncated "
                "or edited after it was written; copy the folder again or quantize again"
            )
