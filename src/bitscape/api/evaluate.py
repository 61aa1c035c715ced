"""The quality of a model beside the full precision it came from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bitscape import evaluation
from bitscape.api.load import load
from bitscape.api.model import Model
from bitscape.zoo import shapes_protocol

Progress = Callable[[str, int, int], None]


def evaluate(
    model: Model,
    full_precision: Model | None = None,
    *,
    settings: evaluation.Settings | None = None,
    workspace: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Everything the zoo's protocol measures on `model`, with full precision beside it.

    `full_precision` None loads the model that `model` was quantized from by its name; a model that
    was not quantized has nothing beside it. Samples are kept in `workspace`, where a killed
    evaluation continues.
    """
    if full_precision is None and model.recipe is not None:
        full_precision = load(model.name, device=model.device)
    return evaluation.evaluate(
        model.pipeline,
        None if full_precision is None else full_precision.pipeline,
        protocol=shapes_protocol(),
        settings=settings,
        workspace=None if workspace is None else Path(workspace),
        report=progress or evaluation.silent,
    )
