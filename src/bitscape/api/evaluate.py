"""The quality of a model beside the full precision it came from."""

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from bitscape import artefacts, evaluation
from bitscape.api.load import load
from bitscape.api.model import Model
from bitscape.files import write_whole
from bitscape.structure import Pipeline
from bitscape.zoo import shapes_protocol

Progress = Callable[[str, int, int], None]


def evaluate(
    model: Model,
    full_precision: Model | None = None,
    *,
    settings: evaluation.Settings | None = None,
    workspace: str | Path | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Everything the zoo's protocol measures on `model`, with full precision beside it.

    `full_precision` None loads the model that `model` was quantized from by its name; a model that
    was not quantized has nothing beside it. Samples are kept in `workspace`, where a killed
    evaluation continues. With `out` the result is also written to that JSON file, and samples are
    kept beside it until then unless there is a workspace. FileExistsError when `out` exists.
    """
    if full_precision is None and model.recipe is not None:
        full_precision = load(model.name, device=model.device)
    settings = settings or evaluation.Settings()
    beside = None if full_precision is None else full_precision.pipeline
    home = None if workspace is None else Path(workspace)
    measure = partial(
        evaluation.evaluate,
        model.pipeline,
        beside,
        protocol=shapes_protocol(),
        settings=settings,
        report=progress or evaluation.silent,
    )
    if out is None:
        return measure(workspace=home)
    job = _fingerprint(model.pipeline, beside, settings, home)
    return _written(measure, Path(out), home, job)


def _fingerprint(
    pipeline: Pipeline, beside: Pipeline | None, settings: evaluation.Settings, home: Path | None
) -> str:
    """The identity of one evaluation and of where its samples are."""
    models = [None if each is None else _identity(each, settings) for each in (pipeline, beside)]
    place = None if home is None else str(home)
    return artefacts.json_sha256({"evaluate": [*models, asdict(settings), place]})


def _identity(pipeline: Pipeline, settings: evaluation.Settings) -> str:
    return evaluation.sampler_fingerprint(pipeline, settings.shard)


def _written(
    measure: Callable[..., dict[str, Any]], out: Path, home: Path | None, job: str
) -> dict[str, Any]:
    """The result of `measure`, written to `out`, or what a killed `job` had written already."""
    if artefacts.finish_interrupted(out, job):
        found: dict[str, Any] = json.loads(out.read_text())
        return found
    artefacts.require_absent(out)
    with artefacts.workspace(out, job) as work:
        result = measure(workspace=home or work)
        write_whole(out, (json.dumps(result, indent=2) + "\n").encode())
    return result
