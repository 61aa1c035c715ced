"""Real images as lessons take them: encoded once, and kept for every model of the tokenizer."""

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from bitscape.evaluation.fingerprint import fingerprint, tensor_bytes
from bitscape.evaluation.protocol import Draw
from bitscape.evaluation.storage import part_path
from bitscape.files import read_tensors, write_tensors
from bitscape.structure import Pipeline


@torch.no_grad()
def encoded_images(
    pipeline: Pipeline, draw: Draw, part: range, keep: Path | None = None
) -> tuple[Tensor, Tensor]:
    """What `pipeline` makes lessons of, for the images `part` of `draw`, and their labels.

    With `keep` they are kept in that folder, which has to be the tokenizer's and the data's own.
    """
    path = None if keep is None else part_path(keep, part)
    if path is not None and path.exists():
        kept = read_tensors(path)
        return kept["encoded"].to(pipeline.device), kept["labels"].to(pipeline.device)
    images, labels = (tensor.to(pipeline.device) for tensor in draw(part))
    encoded = pipeline.adapter.encode(pipeline.tokenizer, images)
    if path is not None:
        write_tensors(path, {"encoded": encoded, "labels": labels})
    return encoded, labels


@torch.no_grad()
def images_identity(pipeline: Pipeline, draw: Draw) -> str:
    """A digest of what `encoded_images` gives; the data speak by their first images."""
    encoded, labels = encoded_images(pipeline, draw, range(8))
    digest = hashlib.sha256(pipeline.family.encode())
    for tensor in (encoded, labels):
        digest.update(tensor_bytes(tensor))
    digest.update(fingerprint(pipeline.tokenizer).encode())
    return digest.hexdigest()[:16]
