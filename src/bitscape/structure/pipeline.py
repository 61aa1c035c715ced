"""A pipeline: a network, its tokenizer and its adapter, ready to sample."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Int, UInt8
from torch import Tensor, nn

from bitscape.structure.adapter import Adapter
from bitscape.structure.call import Tap, drive
from bitscape.structure.clock import StepClock
from bitscape.structure.randomness import Randomness
from bitscape.structure.sampler import check_options, option_kinds


@runtime_checkable
class ReadsPrompts(Protocol):
    """A tokenizer of words as well as of images."""

    def read(self, prompts: Sequence[str]) -> Int[Tensor, "batch token"]:
        """The words of each prompt as numbers."""
        ...


@dataclass
class Pipeline:
    """Everything needed to turn labels or prompts into images.

    `network` holds all that may be quantized; `tokenizer` maps images to latents and back, reads
    prompts where the model draws those, and is never quantized. `clocks` has one clock for each
    sub-network a call can name. `sampler` holds the default options of the trajectory.
    """

    name: str
    family: str
    size: str
    network: nn.Module
    tokenizer: nn.Module
    adapter: Adapter
    clocks: dict[str, StepClock]
    sampler: dict[str, Any] = field(default_factory=dict)

    def latents(
        self,
        labels: Tensor,
        *,
        seed: int = 0,
        first: int = 0,
        tap: Tap | None = None,
        **sampler: Any,
    ) -> Tensor:
        """Final latents for images `first` onwards of the run `seed`, one a label or read prompt.

        ValueError for a sampler option that the family does not have, or a value of another type.
        """
        options = {**self.sampler, **sampler}
        self.check_sampler(options)
        randomness = Randomness(seed, range(first, first + len(labels)), self.device)
        conditions = labels.to(self.device)
        trajectory = self.adapter.trajectory(self.network, conditions, randomness, **options)
        return drive(self.network, trajectory, self.clocks, tap)

    def conditions(self, given: Sequence[int | str] | Tensor) -> Tensor:
        """Class labels, checked, or prompts as numbers; ValueError for what the model cannot draw.

        Prompts that were read before, one row of numbers each, pass as they are.
        """
        reader = self.tokenizer if isinstance(self.tokenizer, ReadsPrompts) else None
        words = not isinstance(given, Tensor) and any(isinstance(c, str) for c in given)
        if words and reader is None:
            raise ValueError(f"{self.name} draws classes, not prompts: give class numbers")
        if reader is None:
            labels = given if isinstance(given, Tensor) else [_whole(c) for c in given]
            return check_labels(labels, self.adapter.num_classes)
        if isinstance(given, Tensor) and given.ndim == 2:
            return given
        if not words or not all(isinstance(c, str) for c in given):
            raise ValueError(f"{self.name} draws prompts, not classes: give texts")
        return reader.read([str(c) for c in given])

    @property
    def device(self) -> torch.device:
        """Where the network lives."""
        return next(self.network.parameters()).device

    def sampler_options(self) -> set[str]:
        """The names of the options that this family's trajectory takes."""
        return set(option_kinds(self.adapter.trajectory))

    def check_sampler(self, options: Mapping[str, Any]) -> None:
        """ValueError for a sampler option that the family does not have, or of another type."""
        check_options(option_kinds(self.adapter.trajectory), options)

    @torch.no_grad()
    def sample(
        self,
        conditions: Sequence[int | str] | Tensor,
        *,
        seed: int = 0,
        first: int = 0,
        batch: int = 64,
        **sampler: Any,
    ) -> UInt8[Tensor, "batch height width 3"]:
        """Images for labels or prompts; image i depends on (seed, first + i) alone."""
        labels = self.conditions(conditions)
        images = []
        for start in range(0, len(labels), batch):
            part = labels[start : start + batch]
            latents = self.latents(part, seed=seed, first=first + start, **sampler)
            images.append(self.adapter.decode(self.tokenizer, latents))
        return torch.cat(images)


def check_labels(labels: Sequence[int] | Tensor, num_classes: int) -> Tensor:
    """`labels` as a tensor of int64.

    ValueError for an empty list, a class out of range or a tensor of fractions.
    """
    if isinstance(labels, Tensor) and labels.is_floating_point():
        raise ValueError(f"classes are whole numbers: got a tensor of {labels.dtype}")
    result = torch.as_tensor(labels, dtype=torch.int64)
    if result.numel() == 0:
        raise ValueError("no classes given: pass at least one label")
    wrong = result[(result < 0) | (result >= num_classes)]
    if wrong.numel():
        raise ValueError(
            f"class {int(wrong[0])} is out of range: this model has classes 0 to {num_classes - 1}"
        )
    return result


def _whole(label: Any) -> int:
    """The class number `label`, of Python, numpy or torch; ValueError for a fraction."""
    try:
        return operator.index(label)
    except TypeError as error:
        raise ValueError(f"{label!r} is no class: give a whole number") from error
