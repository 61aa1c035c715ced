"""Distillation: `quantize` by a recipe that trains, with the options of training."""

import json
from pathlib import Path
from typing import Any

from bitscape import artefacts
from bitscape.api.images import images_for
from bitscape.api.job import Job
from bitscape.api.load import NORMAL_FORM, load
from bitscape.api.model import Model
from bitscape.api.quantize import Progress, carry_out
from bitscape.calibration import CalibrationSet
from bitscape.passes import Pace
from bitscape.recipes import RECIPES, Recipe, find_recipe
from bitscape.runtime import peaks
from bitscape.training import Ranks

CURVES = "training.jsonl"


def distill(
    model: Model,
    recipe: str | Path | Recipe,
    *,
    out: str | Path | None = None,
    start: str | Path | None = None,
    data: str | None = None,
    calibration: CalibrationSet | None = None,
    seed: int = 0,
    minutes: float | None = None,
    save_minutes: float = 2.0,
    shard: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Model:
    """A copy of `model` quantized by a recipe and trained towards full precision.

    `options` replace those of the recipe's method: `steps`, `batch`, `rate`, `loss`, ...; `start`
    is the method whose result is trained, or an artefact of the same model and scheme; `data` what
    it reads: "samples" of the model's own, "shapes", or a folder of images. With `out`
    the result is an artefact, its curves and peak memory in `training.jsonl`; the state is saved
    every `save_minutes`, and a killed call made again ends in the same bits. A run that `minutes`
    cut short is a whole, shorter one: its length depends on the machine. In processes that torchrun
    started every step is shared, and the first process writes; with `shard` each holds its part of
    the parameters alone while it trains. ValueError for a recipe that trains nothing, or a run that
    diverges.
    """
    chosen = trained_recipe(recipe, start=start, data=data, **options)
    pace = Pace(None if minutes is None else 60 * minutes, 60 * save_minutes, shard)
    images = images_for(chosen.data, model.outline)
    job = Job(model, chosen, calibration, seed, _begun(model, chosen, start), pace, images)
    first_out = Path(out) if Ranks.current().first and out is not None else None
    if _finished(job, first_out):
        assert out is not None
        result = load(out, device=model.device, kernel=NORMAL_FORM)
    else:
        result = carry_out(job, out=first_out, progress=progress)
    if first_out is not None:
        log = result.report["method"]["training"]["log"]
        lines = [*log, {"steps": log[-1]["step"], **peaks()}]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (first_out / CURVES).write_text(text)
    return result


def _is_artefact(start: str | Path) -> bool:
    return Path(start).is_dir()


def _begun(model: Model, recipe: Recipe, path: str | Path | None) -> Model | None:
    """The artefact that training starts from, None for a method.

    ValueError unless model and scheme are the same.
    """
    if path is None or not _is_artefact(path):
        return None
    found = load(path, device=model.device, kernel=NORMAL_FORM)
    assert found.recipe is not None
    if found.name != model.name:
        raise ValueError(f"{path} is a {found.name} and cannot start a {model.name}")
    if found.recipe["scheme"] != recipe.scheme:
        raise ValueError(
            f"{path} is at {found.recipe['scheme']} and {recipe.name} at {recipe.scheme}: "
            "choose the recipe of the same scheme"
        )
    return found


def _finished(job: Job, out: Path | None) -> bool:
    """Whether this very run was finished and killed before it could clean up.

    The first process looks, and all are told: one that trained alone would wait for the others.
    """
    found = out is not None and artefacts.finish_interrupted(out, job.fingerprint)
    return Ranks.current().shared(found)


def trained_recipe(
    recipe: str | Path | Recipe,
    *,
    start: str | Path | None = None,
    data: str | None = None,
    **options: Any,
) -> Recipe:
    """The recipe with another start, data and options; one of an artefact leaves it as it is.

    ValueError unless it trains the whole network.
    """
    if start is not None and not _is_artefact(start):
        options["start"] = str(start)
    found = recipe if isinstance(recipe, Recipe) else find_recipe(str(recipe))
    if not found.trains():
        near = [name for name, each in RECIPES.items() if each.scheme == found.scheme]
        instead = next((name for name in near if RECIPES[name].trains()), "topkld-w3a16")
        raise ValueError(f"recipe {found.name} trains nothing: use `quantize`, or {instead}")
    fields: dict[str, Any] = {} if data is None else {"data": data}
    return found.changed(options={**found.options, **options}, **fields)
