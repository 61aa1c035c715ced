"""From a model and a recipe to a quantized model, in memory or as an artefact, resumably."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from bitscape import artefacts
from bitscape.api.images import images_for
from bitscape.api.job import Job
from bitscape.api.load import NORMAL_FORM, load
from bitscape.api.model import Model
from bitscape.api.stream import can_stream, stream
from bitscape.calibration import CalibrationSet
from bitscape.evaluation import fingerprint
from bitscape.passes import Pace, silent
from bitscape.recipes import (
    Recipe,
    apply,
    calibration_conditions,
    find_recipe,
    reads_calibration,
)

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
) -> Model:
    """A quantized copy of `model` by a recipe (object, name or YAML file); `model` stays as it is.

    `calibration` None records what the recipe asks for. With `out` the result is also written
    there as an artefact; progress is kept beside it until then, so that a killed call continues
    when it is made again, to the same result. A checkpoint that has not been read yet is quantized
    block by block where the recipe treats each weight by itself, so that it need not fit in memory.
    `progress(stage, done, total)` is told how far it is. `pace` is that of recipes that train.
    FileExistsError when `out` exists; ValueError for a recipe that the model cannot have, a weight
    that is not finite, and unfinished work of another job beside `out`.
    """
    recipe = recipe if isinstance(recipe, Recipe) else find_recipe(str(recipe))
    images = images_for(recipe.data, model.outline)
    job = Job(model, recipe, calibration, seed, pace=pace or Pace(), images=images)
    return carry_out(job, out=None if out is None else Path(out), progress=progress)


def carry_out(job: Job, *, out: Path | None, progress: Progress | None = None) -> Model:
    """What becomes of the model of `job`, see `quantize`."""
    model = job.model
    if model.recipe is not None:
        raise ValueError(
            f"{model.source or model.name} is already quantized: start from full precision"
        )
    # Whatever can be refused is, before anything is written.
    job.recipe.check(model.outline)
    if job.calibration is None and reads_calibration(job.recipe):
        calibration_conditions(model.outline, job.recipe.calibration)
    if model.pending is None:
        # Weights that are still to be read are checked then.
        check_finite(model.outline.network, model.name)
    if out is None:
        return _quantized(job, None, progress)
    if not artefacts.finish_interrupted(out, job.fingerprint):
        artefacts.require_absent(out)
        with artefacts.workspace(out, job.fingerprint) as work:
            pending = model.pending
            if pending is not None and can_stream(job.recipe):
                result, weights = stream(
                    model,
                    pending,
                    job.recipe,
                    seed=job.seed,
                    work=work,
                    progress=progress or silent,
                )
                artefacts.save(result.outline, result.recipe or {}, result.report, out, weights)
            else:
                _quantized(job, work, progress).save(out)
    return load(out, device=model.device, kernel=NORMAL_FORM)


def check_finite(network: nn.Module, name: str) -> None:
    """Raise ValueError for the first weight that holds a NaN or an infinity."""
    for key, tensor in network.state_dict().items():
        artefacts.check_finite(key, tensor, name)


def _quantized(job: Job, work: Path | None, progress: Progress | None) -> Model:
    model, recipe, begun = job.model, job.recipe, job.begun
    unread, pipeline = model.pending is not None, model.copy()
    if unread:
        check_finite(pipeline.network, model.name)
    told = apply(
        recipe,
        pipeline,
        calibration=job.calibration,
        seed=job.seed,
        workspace=work,
        progress=progress,
        images=job.images,
        pace=job.pace,
        begun=None if begun is None else begun.pipeline,
    )
    report = {"model": model.name, "recipe": recipe.name, "seed": job.seed, "method": told}
    if begun is not None:
        report["begun"] = {
            "recipe": begun.report["recipe"],
            "network": fingerprint(begun.pipeline.network),
        }
    report |= artefacts.inspect_network(pipeline.network)
    return Model(pipeline, recipe.model_dump(mode="json"), report)
