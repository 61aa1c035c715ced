"""Digests: how a folder notices that one of its files was truncated or edited, and how a network
is told from another.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bitscape.artefacts.layout import HASHED

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


def network_sha256(networks: Iterable[nn.Module]) -> str:
    """The sha256 of names, shapes, dtypes and bytes of everything the networks store."""
    digest = hashlib.sha256()
    for network in networks:
        for name, tensor in sorted(network.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
            flat = tensor.detach().cpu().contiguous().flatten()
            digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def folder_sha256(folder: Path) -> dict[str, str]:
    """The sha256 of each file of an artefact that the report vouches for."""
    return {name: file_sha256(folder / name) for name in HASHED}


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
