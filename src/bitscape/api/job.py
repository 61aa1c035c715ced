"""One quantization before it runs: everything that decides its result, and a digest of that."""

import hashlib
import importlib.metadata
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bitscape import artefacts
from bitscape.api.model import Model
from bitscape.calibration import CalibrationSet
from bitscape.evaluation import Draw, fingerprint
from bitscape.evaluation.fingerprint import tensor_bytes
from bitscape.passes import Pace
from bitscape.recipes import Recipe

_IMAGES = 8


@dataclass(frozen=True, eq=False)
class Job:
    """A model, a recipe and all else that decides what becomes of them.

    `calibration` None records what the recipe asks for. Recipes that train read `images`, at their
    `pace`, and start from what has `begun`, if anything has.
    """

    model: Model
    recipe: Recipe
    calibration: CalibrationSet | None = None
    seed: int = 0
    begun: Model | None = None
    pace: Pace = Pace()
    images: Draw | None = None

    @cached_property
    def fingerprint(self) -> str:
        """A digest: equal only if the result will be, but for what the speed of a machine decides.

        Images speak by the first few, and a bound on the time of training by its length.
        """
        pipeline, pending = self.model.outline, self.model.pending
        parts: dict[str, Any] = {
            "network": pending.identity() if pending else fingerprint(pipeline.network),
            "tokenizer": None if pending else fingerprint(pipeline.tokenizer),
            "sampler": pipeline.sampler,
            "recipe": self.recipe.model_dump(mode="json"),
            "calibration": None if self.calibration is None else self.calibration.identity,
            "seed": self.seed,
            "version": importlib.metadata.version("bitscape"),
        }
        if self.begun is not None:
            parts["begun"] = fingerprint(self.begun.pipeline.network)
        if self.images is not None:
            parts["images"] = _images_digest(self.images)
        if self.pace.seconds is not None:
            parts["seconds"] = self.pace.seconds
        return artefacts.json_sha256(parts)


def _images_digest(draw: Draw) -> str:
    """A digest of the first images and their labels."""
    digest = hashlib.sha256()
    for tensor in draw(range(_IMAGES)):
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor_bytes(tensor))
    return digest.hexdigest()
