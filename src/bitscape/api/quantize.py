"""From a model and a recipe to a quantized model, in memory or as an artefact, resumably."""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

from torch import nn

from bitscape import artefacts
from bitscape.api.images import images_for
from bitscape.api.load import NORMAL_FORM, load
from bitscape.api.model import Model
from bitscape.api.stream import can_stream, stream
from bitscape.calibration import CalibrationSet
from bitscape.evaluation import fingerprint
from bitscape.passes import Pace, silent
from bitscape.recipes import Recipe, apply, find_recipe

Progress = Callable[[str, int, int], None]


def quantize(
    model: Model,
    recipe: str | Path | Recipe,
    *,
    out: str | Path | None = None,
    calibration: CalibrationSet | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    pace: Pace | None = None,
    begun: Model | None = None,
) -> Model:
    """A quantized copy of `model` by a recipe (object, name or YAML file); `model` stays as it is.

    `calibration` None records what the recipe asks for. With `out` the result is also written
    there as an artefact; progress is kept beside it until then, so that a killed call continues
    when it is made again, to the same result. A checkpoint that has not been read yet is quantized
    block by block where the recipe treats each weight by itself, so that it need not fit in memory.
    `progress(stage, done, total)` is told how far it is. `pace` bounds the time of recipes that
    train, and `begun` is what they start from, see `distill`.
    FileExistsError when `out` exists; ValueError for a weight that is not finite.
    """
    recipe = recipe if isinstance(recipe, Recipe) else find_recipe(str(recipe))
    if model.recipe is not None:
        raise ValueError(
            f"{model.source or model.name} is already quantized: start from full precision"
        )
    if model.pending is None:
        # Before anything is written; weights that are still to be read are checked then.
        check_finite(model.outline.network, model.name)
    if out is None:
        return _quantized(model, recipe, calibration, seed, None, progress, pace, begun)
    out = Path(out)
    job = job_fingerprint(model, recipe, calibration, seed, begun)
    if not artefacts.finish_interrupted(out, job):
        artefacts.require_absent(out)
        with artefacts.workspace(out, job) as work:
            pending = model.pending
            if pending is not None and can_stream(recipe):
                result, weights = stream(
                    model, pending, recipe, seed=seed, work=work, progress=progress or silent
                )
                artefacts.save(result.outline, result.recipe or {}, result.report, out, weights)
            else:
                made = _quantized(model, recipe, calibration, seed, work, progress, pace, begun)
                made.save(out)
    return load(out, device=model.device, kernel=NORMAL_FORM)


def check_finite(network: nn.Module, name: str) -> None:
    """Raise ValueError for the first weight that holds a NaN or an infinity."""
    for key, tensor in network.state_dict().items():
        artefacts.check_finite(key, tensor, name)


def job_fingerprint(
    model: Model,
    recipe: Recipe,
    calibration: CalibrationSet | None,
    seed: int,
    begun: Model | None = None,
) -> str:
    """The identity of one quantization: equal only if the result will be."""
    pipeline, pending = model.outline, model.pending
    start = {} if begun is None else {"begun": fingerprint(begun.pipeline.network)}
    return artefacts.json_sha256(
        start
        | {
            "network": pending.identity() if pending else fingerprint(pipeline.network),
            "tokenizer": None if pending else fingerprint(pipeline.tokenizer),
            "sampler": pipeline.sampler,
            "recipe": recipe.model_dump(mode="json"),
            "calibration": None if calibration is None else calibration.identity,
            "seed": seed,
            "version": importlib.metadata.version("bitscape"),
        }
    )


def _quantized(
    model: Model,
    recipe: Recipe,
    calibration: CalibrationSet | None,
    seed: int,
    work: Path | None,
    progress: Progress | None,
    pace: Pace | None,
    begun: Model | None,
) -> Model:
    unread, pipeline = model.pending is not None, model.copy()
    if unread:
        check_finite(pipeline.network, model.name)
    told = apply(
        recipe,
        pipeline,
        calibration=calibration,
        seed=seed,
        workspace=work,
        progress=progress,
        images=images_for(recipe.data, pipeline),
        pace=pace,
        begun=None if begun is None else begun.pipeline,
    )
    report = {"model": model.name, "recipe": recipe.name, "seed": seed, "method": told}
    if begun is not None:
        report["begun"] = {
            "recipe": begun.report["recipe"],
            "network": fingerprint(begun.pipeline.network),
        }
    report |= artefacts.inspect_network(pipeline.network)
    return Model(pipeline, recipe.model_dump(mode="json"), report)
