"""Two models on the same seeds: pictures, and how far apart they are."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import UInt8
from numpy import ndarray

from bitscape.api.model import Model
from bitscape.evaluation import agreement, psnr, squared_error, ssim


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

    PSNR is that of the mean squared error, infinite (null) for equal images. Token agreement and
    KL, along shared randomness, exist for discrete families only.
    """
    if reference.pipeline.family != model.pipeline.family:
        raise ValueError(
            f"{reference.name} is a {reference.pipeline.family} and {model.name} a "
            f"{model.pipeline.family}: compare models of one family"
        )
    first, second = (one.pipeline.sample(labels, seed=seed).cpu() for one in (reference, model))
    errors, structures = squared_error(first, second), ssim(first, second)
    numbers: dict[str, Any] = {
        "models": [reference.name, str(model.source or model.name)],
        "seed": seed,
        "n": len(labels),
        "psnr": _finite(psnr(errors)),
        "ssim": float(structures.mean()),
        "identical_images": float((errors == 0).double().mean()),
        **_tokens(reference, model, labels, seed),
        "images": [
            {
                "prompt" if isinstance(label, str) else "class": label,
                "psnr": _finite(psnr(error.reshape(1))),
                "ssim": float(structure),
            }
            for label, error, structure in zip(labels, errors, structures, strict=True)
        ],
    }
    return Comparison(first.numpy(), second.numpy(), numbers)


def _tokens(
    reference: Model, model: Model, labels: list[int] | list[str], seed: int
) -> dict[str, float | None]:
    if not model.pipeline.adapter.discrete:
        return {"token_agreement": None, "kl": None}
    found = agreement(
        model.pipeline, reference.pipeline, model.pipeline.conditions(labels), seed=seed
    )
    return {"token_agreement": found.token_agreement, "kl": found.kl}


def _finite(value: float) -> float | None:
    # JSON has no infinity.
    return value if value < float("inf") else None
