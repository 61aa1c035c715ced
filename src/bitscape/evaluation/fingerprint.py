"""The identity of a model: equal fingerprints mean equal weights, structure and settings.

Samples are kept on disk under the fingerprint of what made them, so that a rerun continues and a
changed model never inherits another's images.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bitscape.structure import Pipeline, StepClock

_OWN = frozenset(vars(nn.Module())) | {"training"}


def fingerprint(module: nn.Module) -> str:
    """A SHA-256 over every tensor and every plain setting of `module`, clocks excepted."""
    digest = hashlib.sha256()
    for name, part in module.named_modules():
        if isinstance(part, StepClock):
            continue
        digest.update(f"{name}:{type(part).__module__}.{type(part).__qualname__}".encode())
        for key, value in _settings(part):
            digest.update(f"{key}={value!r}".encode())
        for key, tensor in _tensors(part):
            digest.update(f"{key}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
            digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def sampler_fingerprint(pipeline: Pipeline, shard: int) -> str:
    """A SHA-256 over all that decides the images of a run, except its seed and labels.

    The shard size counts: the same image computed in a batch of another size may differ in its
    last bits.
    """
    parts = [
        fingerprint(pipeline.network),
        fingerprint(pipeline.tokenizer),
        type(pipeline.adapter).__qualname__,
        sampler_text(pipeline.sampler),
        str(shard),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def sampler_text(sampler: Mapping[str, Any]) -> str:
    """Sampler options as canonical JSON; ValueError for an option that JSON cannot hold."""
    try:
        return json.dumps(dict(sampler), sort_keys=True)
    except TypeError as error:
        raise ValueError(f"a sampler option cannot be recorded: {error}") from error


def _settings(part: nn.Module) -> Iterator[tuple[str, Any]]:
    """Attributes that hold a plain value or a description; schemes live in such attributes."""
    for key, value in sorted(vars(part).items()):
        plain = isinstance(value, bool | int | float | str | tuple | None)
        if key not in _OWN and (plain or is_dataclass(value)):
            yield key, value


def _tensors(part: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from part.named_parameters(recurse=False)
    yield from part.named_buffers(recurse=False)
    for key, value in sorted(vars(part).items()):
        if isinstance(value, Tensor):
            yield key, value


def tensor_bytes(tensor: Tensor) -> bytes:
    """The content of a tensor of any dtype, device and layout."""
    if tensor.is_mkldnn:
        tensor = tensor.to_dense()
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()
