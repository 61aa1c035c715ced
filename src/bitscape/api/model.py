"""The model that users hold: a pipeline together with how it was quantized and how it runs."""

import copy
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from numpy import ndarray

from bitscape import artefacts
from bitscape.api.released import Released
from bitscape.runtime import Choice
from bitscape.structure import Pipeline, ReadsPrompts

Conditions = int | str | Sequence[int | str]


@dataclass(frozen=True)
class Model:
    """A pipeline that can be sampled, saved and quantized.

    `recipe` and `report` are None and empty for full precision. `choices` says which kernel each
    site runs on, empty while the network is in its normal form. `source` is the artefact the model
    was loaded from, `released` the checkpoint it is read from: until `pipeline` is first asked for,
    the parameters of `outline` are on the meta device.
    """

    outline: Pipeline
    recipe: dict[str, Any] | None = None
    report: dict[str, Any] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    source: Path | None = None
    released: Released | None = None

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline, its weights read."""
        if self.pending is not None:
            self.pending.fill(self.outline)
        return self.outline

    @property
    def pending(self) -> Released | None:
        """The checkpoint whose weights have not been read yet."""
        unread = any(tensor.is_meta for tensor in self.outline.network.parameters())
        return self.released if unread else None

    def copy(self) -> Pipeline:
        """A pipeline of its own with the same weights, read once more if they are pending."""
        pending, pipeline = self.pending, copy.deepcopy(self.outline)
        if pending is not None:
            pending.fill(pipeline)
        return pipeline

    @property
    def name(self) -> str:
        """The name of the model it is or was quantized from."""
        return self.outline.name

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        pending = self.pending
        if pending is not None:
            return pending.device
        # A pixel tokenizer has no parameters, a packed network few.
        modules = (self.outline.tokenizer, self.outline.network)
        return next(p for module in modules for p in module.parameters()).device

    def sample(
        self, conditions: Conditions, *, seed: int = 0, **sampler: Any
    ) -> UInt8[ndarray, "image height width 3"]:
        """Images for labels or prompts, or `conditions` images of classes 0, 1, 2, ... in turn.

        Image i depends on the seed and on i alone. `sampler` overrides options of the trajectory,
        such as `guidance`.
        """
        labels = self.labels(conditions)
        return self.pipeline.sample(labels, seed=seed, **sampler).cpu().numpy()

    def with_sampler(self, **sampler: Any) -> "Model":
        """The same model with other options of the trajectory where none are given.

        ValueError for an option that the family does not have, or a value of another type.
        """
        self.outline.check_sampler(sampler)
        outline = replace(self.outline, sampler={**self.outline.sampler, **sampler})
        return replace(self, outline=outline)

    def labels(self, conditions: Conditions) -> list[int] | list[str]:
        """What `conditions` mean to this model: class labels, or prompts; ValueError otherwise."""
        if isinstance(conditions, int):
            return self._in_turn(conditions)
        given = [conditions] if isinstance(conditions, str) else list(conditions)
        self.outline.conditions(given)
        return [c for c in given if isinstance(c, str)] or [int(c) for c in given]

    def _in_turn(self, count: int) -> list[int]:
        """Classes 0, 1, 2, ... in turn; ValueError for a model of prompts."""
        if count < 1:
            raise ValueError(f"{count} images were asked for: at least 1 is needed")
        if isinstance(self.outline.tokenizer, ReadsPrompts):
            raise ValueError(f"{self.name} draws prompts: give one text an image")
        classes = self.outline.adapter.num_classes
        return [index % classes for index in range(count)]

    def save(self, out: str | Path) -> None:
        """Write an artefact folder; FileExistsError when it exists.

        A model whose weights have been packed for a kernel is copied from where it was loaded;
        ValueError when no file holds it as it is, as nested codes read at fewer bits.
        """
        out = Path(out)
        if not self.choices:
            artefacts.save(self.pipeline, self.recipe or {}, self.report, out)
            return
        if self.source is None:
            raise ValueError(
                f"{self.name} is packed for its kernels and no file holds it: load it with "
                "kernel='none' to save it"
            )
        artefacts.require_absent(out)
        with artefacts.whole_folder(out) as folder:
            shutil.copytree(self.source, folder, dirs_exist_ok=True)

    def to(self, device: str | torch.device) -> "Model":
        """This model, moved to `device` in place."""
        target = checked_device(device)
        for module in (
            self.pipeline.network,
            self.pipeline.tokenizer,
            *self.pipeline.clocks.values(),
        ):
            module.to(target)
        return self


def checked_device(device: str | torch.device) -> torch.device:
    """The device called `device`; ValueError when this machine does not have it."""
    try:
        result = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"no device {str(device)!r}: choose cpu, cuda or cuda:1") from error
    try:
        torch.empty(0, device=result)
    except (RuntimeError, AssertionError) as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(
            f"device {str(device)!r} cannot be used here ({first}): try cpu"
        ) from error
    return result
