"""Two models on the same seeds: pictures, and how far apart they are."""

from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import UInt8
from numpy import ndarray

from bitscape.api.model import Model
from bitscape.evaluation import agreement
from bitscape.evaluation.measure import Likeness, json_number
from bitscape.structure import Pipeline


@dataclass(frozen=True)
class Comparison:
    """Images of both models and the numbers that `bitscape compare` prints."""

    reference: UInt8[ndarray, "image height width 3"]
    images: UInt8[ndarray, "image height width 3"]
    numbers: dict[str, Any]


def compare(
    reference: Model, model: Model, labels: list[int] | list[str], *, seed: int = 0
) -> Comparison:
    """Draw labels or prompts with both models from the same random streams.

    Both are drawn with the sampler of `model`, as `evaluate` does: a recipe may have changed it.
    PSNR is that of the mean squared error, infinite (null) for equal images. Token agreement and
    KL, along shared randomness, exist for discrete families only.
    """
    if reference.pipeline.family != model.pipeline.family:
        raise ValueError(
            f"{reference.name} is a {reference.pipeline.family} and {model.name} a "
            f"{model.pipeline.family}: compare models of one family"
        )
    ours = model.pipeline
    theirs = replace(reference.pipeline, sampler=ours.sampler)
    first, second = (one.sample(labels, seed=seed).cpu() for one in (theirs, ours))
    alike = Likeness.of([(first, second)])
    numbers: dict[str, Any] = {
        "models": [reference.name, str(model.source or model.name)],
        "seed": seed,
        "sampler": dict(ours.sampler),
        "n": len(labels),
        **_as_json(alike.numbers()),
        **_tokens(theirs, ours, labels, seed),
        "images": [
            {"prompt" if isinstance(label, str) else "class": label, **_as_json(each)}
            for label, each in zip(labels, alike.each(), strict=True)
        ],
    }
    return Comparison(first.numpy(), second.numpy(), numbers)


def _tokens(
    reference: Pipeline, pipeline: Pipeline, labels: list[int] | list[str], seed: int
) -> dict[str, float | None]:
    if not pipeline.adapter.discrete:
        return {"token_agreement": None, "kl": None}
    found = agreement(pipeline, reference, pipeline.conditions(labels), seed=seed)
    return {"token_agreement": found.token_agreement, "kl": found.kl}


def _as_json(numbers: dict[str, float]) -> dict[str, float | None]:
    return {name: json_number(value) for name, value in numbers.items()}
