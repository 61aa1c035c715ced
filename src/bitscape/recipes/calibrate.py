"""The calibration set that a recipe asks for."""

import hashlib
import json

import torch
from torch import Tensor

from bitscape.calibration import CalibrationSet, record
from bitscape.evaluation import fingerprint
from bitscape.passes import Progress, silent
from bitscape.recipes.recipe import Calibration, Recipe
from bitscape.structure import Pipeline, ReadsPrompts

# Calibration images must not be those that an evaluation with the same seed draws.
APART = 1_000_003


def reads_calibration(recipe: Recipe) -> bool:
    """Whether the method of `recipe` reads recorded calls at its scheme."""
    scheme = recipe.quant_scheme()
    return any(step.needs_calibration(scheme) for step in recipe.build().passes())


def recorded(
    recipe: Recipe, pipeline: Pipeline, *, seed: int = 0, progress: Progress = silent
) -> CalibrationSet:
    """The calls of full precision that `recipe` asks for; ValueError when it lacks prompts."""
    wanted = recipe.calibration
    return record(
        pipeline,
        calibration_conditions(pipeline, wanted),
        seed=APART + wanted.seed + seed,
        batch=wanted.batch,
        keep=wanted.keep,
        progress=progress,
        **recipe.sampler,
    )


def calibration_conditions(pipeline: Pipeline, wanted: Calibration) -> Tensor:
    """Balanced labels, or the recipe's prompts in turn; ValueError when it has none."""
    if not isinstance(pipeline.tokenizer, ReadsPrompts):
        return torch.arange(wanted.samples) % pipeline.adapter.num_classes
    if not wanted.prompts:
        raise ValueError(
            f"{pipeline.name} draws prompts: list some in a recipe under calibration: prompts:"
        )
    texts = [wanted.prompts[i % len(wanted.prompts)] for i in range(wanted.samples)]
    return pipeline.conditions(texts)


def calibration_key(recipe: Recipe, pipeline: Pipeline, seed: int) -> str:
    """A digest of all that decides `recorded`: recipes of equal needs share one set."""
    content = {
        "network": fingerprint(pipeline.network),
        "tokenizer": fingerprint(pipeline.tokenizer),
        "model": pipeline.name,
        "sampler": {**pipeline.sampler, **recipe.sampler},
        "calibration": recipe.calibration.model_dump(mode="json"),
        "seed": seed,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
