"""Generated images on disk, in shards, so that a killed run continues where it stopped.

A shard is one batch: images `start` to `stop` of one seed. It depends on nothing but the model, the
sampler, the seed and its range, so an interrupted run and an undisturbed one write the same bytes.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from bitscape.evaluation.fingerprint import sampler_fingerprint, sampler_text
from bitscape.evaluation.protocol import Report, ranges, silent
from bitscape.evaluation.storage import part_path
from bitscape.files import read_tensors, write_tensors, write_whole
from bitscape.structure import Pipeline

_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Shard:
    """Some images of a run, the latents they were decoded from, and their classes."""

    images: UInt8[Tensor, "batch height width 3"]
    latents: Tensor
    labels: Int[Tensor, " batch"]


@dataclass(frozen=True)
class Run:
    """The images of one seed: a folder and the ranges it holds."""

    folder: Path
    parts: tuple[range, ...]

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def shards(self) -> Iterator[Shard]:
        """The shards in order, one in memory at a time."""
        for part in self.parts:
            yield _read(self.folder, part)


def generate(
    pipeline: Pipeline,
    labels: Sequence[int] | Sequence[str] | Tensor,
    *,
    seed: int,
    out: Path,
    shard: int = 100,
    report: Report = silent,
) -> Run:
    """Images for `labels` in folder `out`; shards that are already there are kept.

    ValueError when the folder holds the images of another model, sampler, seed, shard size or list
    of classes.
    """
    labels = pipeline.conditions(labels)
    _claim(out, _manifest(pipeline, seed, shard))
    parts = ranges(len(labels), shard)
    for part in parts:
        wanted = labels[part.start : part.stop]
        if part_path(out, part).exists():
            _check(out, part, wanted)
        else:
            write_tensors(part_path(out, part), _sampled(pipeline, wanted, seed, part.start))
        report(f"sample {pipeline.name}, seed {seed}", part.stop, len(labels))
    return Run(out, tuple(parts))


@torch.no_grad()
def _sampled(pipeline: Pipeline, labels: Tensor, seed: int, first: int) -> dict[str, Tensor]:
    latents = pipeline.latents(labels, seed=seed, first=first)
    images = pipeline.adapter.decode(pipeline.tokenizer, latents)
    return {"images": images, "latents": latents, "labels": labels}


def _manifest(pipeline: Pipeline, seed: int, shard: int) -> dict[str, str | int]:
    return {
        "fingerprint": sampler_fingerprint(pipeline, shard),
        "name": pipeline.name,
        "sampler": sampler_text(pipeline.sampler),
        "seed": seed,
        "shard": shard,
    }


def _claim(folder: Path, manifest: dict[str, str | int]) -> None:
    path = folder / _MANIFEST
    if not path.exists():
        write_whole(path, json.dumps(manifest, indent=2, sort_keys=True).encode())
        return
    found = json.loads(path.read_text())
    # The name is for people: one model under two names makes the same images.
    changed = [key for key in manifest if key != "name" and found.get(key) != manifest[key]]
    if changed:
        raise ValueError(
            f"{folder} holds images of another run (different {', '.join(changed)}): "
            "choose another folder or delete it"
        )


def _read(folder: Path, part: range) -> Shard:
    return Shard(**read_tensors(part_path(folder, part)))


def _check(folder: Path, part: range, labels: Tensor) -> None:
    if not torch.equal(_read(folder, part).labels, labels.cpu()):
        raise ValueError(
            f"{part_path(folder, part)} holds other classes than asked for: "
            "choose another folder or delete it"
        )
