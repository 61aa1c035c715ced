"""Recording: the calls of a few trajectories, as a value that can be kept on disk."""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bitscape.calibration.mixing import divisible, mixed
from bitscape.calibration.on_disk import on_disk
from bitscape.files import whole_folder
from bitscape.structure import Call, Pipeline

CALLS = "calls.safetensors"
DESCRIPTION = "calibration.json"


@dataclass(frozen=True)
class CalibrationSet:
    """Independent calls on the CPU, and how they were made."""

    calls: tuple[Call, ...]
    provenance: dict[str, Any]

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the calls and their provenance."""
        digest = hashlib.sha256(json.dumps(self._description(), sort_keys=True).encode())
        for name, tensor in sorted(self._tensors().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    @property
    def images(self) -> int:
        """The images of a call, each of which may be there at several steps of its trajectory."""
        return int(self.provenance.get("batch", 1)) // int(self.provenance.get("window", 1))

    def first(self, samples: int) -> "CalibrationSet":
        """The calls of the first trajectories, of at least `samples` images: whole batches.

        All calls where there are no more. ValueError for a set whose batches cannot be told apart,
        because calls of it were chosen.
        """
        labels = self.provenance["labels"]
        batches, wanted = (math.ceil(count / self.images) for count in (len(labels), samples))
        if wanted >= batches:
            return self
        if len(self.calls) % batches:
            raise ValueError(
                f"{len(self.calls)} calls are not those of {batches} batches: take the first "
                "trajectories of a set as it was recorded"
            )
        calls = self.calls[: wanted * len(self.calls) // batches]
        return CalibrationSet(calls, {**self.provenance, "labels": labels[: wanted * self.images]})

    def mixed(self, seed: int, images: int | None = None) -> "CalibrationSet":
        """The samples dealt out anew to calls as large as these, which had one step each.

        With `images`, a divisor of theirs, they are dealt to calls of so many, unless some calls
        stay as they are.
        """
        split = images is not None and all(divisible(call) for call in self.calls)
        parts = self.images // images if images is not None and split else 1
        calls = mixed(self.calls, None, torch.Generator().manual_seed(seed), parts)
        provenance = {**self.provenance, "batch": images} if split else self.provenance
        return CalibrationSet(tuple(calls), provenance)

    def save(self, path: Path) -> None:
        """Write the folder `path`, whole or not at all; FileExistsError if it exists."""
        description = {**self._description(), "identity": self.identity}
        with whole_folder(path) as part:
            save_file({k: v.contiguous() for k, v in self._tensors().items()}, part / CALLS)
            (part / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "CalibrationSet":
        """The set saved in the folder `path`; ValueError when it was changed since."""
        description = json.loads((path / DESCRIPTION).read_text())
        tensors = load_file(path / CALLS)
        calls = tuple(
            Call(
                entry["net"],
                tensors[f"{i}.step"],
                tuple(
                    tensors[f"{i}.{j}"] if plain is None else plain["value"]
                    for j, plain in enumerate(entry["args"])
                ),
            )
            for i, entry in enumerate(description["calls"])
        )
        found = cls(calls, description["provenance"])
        if found.identity != description["identity"]:
            raise ValueError(f"the calibration set {path} was changed: record it again")
        return found

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"{i}.step": call.step for i, call in enumerate(self.calls)}
        for i, call in enumerate(self.calls):
            for j, arg in enumerate(call.args):
                if isinstance(arg, Tensor):
                    tensors[f"{i}.{j}"] = arg
        return tensors

    def _description(self) -> dict[str, Any]:
        return {
            "provenance": self.provenance,
            "calls": [
                {
                    "net": call.net,
                    "args": [None if isinstance(a, Tensor) else {"value": a} for a in call.args],
                }
                for call in self.calls
            ],
        }


@torch.no_grad()
def record(
    pipeline: Pipeline,
    labels: Sequence[int] | Sequence[str] | Tensor,
    *,
    seed: int,
    batch: int = 16,
    keep: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    **sampler: Any,
) -> CalibrationSet:
    """The calls of the trajectories for labels or prompts, made independent by `replay`.

    `keep` bounds the calls of each sub-network kept of each batch, spread evenly over the
    trajectory, each batch starting at another offset so that together they cover it; None keeps
    all.
    """
    labels = pipeline.conditions(labels)
    if keep is not None and keep < 1:
        raise ValueError(f"at least one call of a trajectory has to be kept, got {keep}")
    calls: list[Call] = []
    for number, first in enumerate(range(0, len(labels), batch)):
        part = labels[first : first + batch]
        recorded: list[Call] = []

        def tap(call: Call, output: Tensor, recorded: list[Call] = recorded) -> None:
            del output
            recorded.append(_on_cpu(call))

        pipeline.latents(part, seed=seed, first=first, tap=tap, **sampler)
        replayed = pipeline.adapter.replay(recorded)
        calls += on_disk(_spread(replayed, keep, number))
        if progress is not None:
            progress("recording calibration", first + len(part), len(labels))
    provenance = {
        "model": pipeline.name,
        "family": pipeline.family,
        "labels": labels.tolist(),
        "seed": seed,
        "batch": batch,
        "keep": keep,
        "sampler": {**pipeline.sampler, **sampler},
    }
    return CalibrationSet(tuple(calls), provenance)


def _on_cpu(call: Call) -> Call:
    # Copies: a sampler may go on to overwrite what it passed, and state is not for replay.
    args = tuple(a.detach().to("cpu", copy=True) if isinstance(a, Tensor) else a for a in call.args)
    return Call(call.net, call.step.detach().to("cpu", copy=True), args)


def _spread(calls: list[Call], keep: int | None, number: int) -> list[Call]:
    """Up to `keep` calls of each sub-network, in the order in which they were made."""
    places: dict[str, list[int]] = {}
    for place, call in enumerate(calls):
        places.setdefault(call.net, []).append(place)
    kept = [place for mine in places.values() for place in _even(mine, keep, number)]
    return [calls[place] for place in sorted(kept)]


def _even(places: list[int], keep: int | None, number: int) -> list[int]:
    if keep is None or keep >= len(places):
        return places
    stride = len(places) / keep
    # The golden ratio's multiples fall evenly into [0, 1) however many batches there are.
    offset = (number * 0.6180339887498949) % 1.0
    return [places[int((i + offset) * stride)] for i in range(keep)]
