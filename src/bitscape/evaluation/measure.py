"""Numbers of one run of generated images, alone and beside the full-precision run of its seed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bitscape.evaluation.frechet import frechet_distance, statistics
from bitscape.evaluation.generate import Run, Shard
from bitscape.evaluation.manifold import precision_recall
from bitscape.evaluation.protocol import EvaluationProtocol
from bitscape.evaluation.reference import Reference
from bitscape.evaluation.similarity import Images, PerImage, psnr, squared_error, ssim

Numbers = dict[str, float]


@torch.no_grad()
def quality(shards: Iterable[Shard], protocol: EvaluationProtocol, reference: Reference) -> Numbers:
    """Fréchet distances, class accuracy, precision and recall of one seed's images."""
    features, latents, hits = [], [], []
    for shard in shards:
        seen = protocol.extractor.features(shard.images)
        features.append(seen.float().cpu())
        latents.append(reference.scale.features(shard.latents))
        hits.append(protocol.extractor.logits(seen).argmax(1).cpu() == shard.labels)
    fake = torch.cat(features)
    # Both manifolds widen as their sets thin out, so both sides get the same count.
    count = min(len(fake), len(reference.features))
    manifolds = precision_recall(reference.features[:count], fake[:count])
    return {
        protocol.distance: frechet_distance(statistics(fake), reference.statistics),
        "fd_latent": frechet_distance(statistics(torch.cat(latents)), reference.latents),
        "class_accuracy": float(torch.cat(hits).double().mean()),
        "precision": manifolds.precision,
        "recall": manifolds.recall,
    }


@dataclass(frozen=True)
class Likeness:
    """How close pairs of images are: squared error and structural similarity of each pair."""

    squared_errors: PerImage
    structures: PerImage

    @classmethod
    def of(cls, pairs: Iterable[tuple[Images, Images]]) -> "Likeness":
        """That of batches of images, in order."""
        found = [(squared_error(ours, theirs), ssim(ours, theirs)) for ours, theirs in pairs]
        return cls(*(torch.cat(values) for values in zip(*found, strict=True)))

    def numbers(self) -> Numbers:
        """PSNR in dB of the mean error, mean SSIM and the share of pairs equal in every byte."""
        return {
            "psnr": psnr(self.squared_errors),
            "ssim": float(self.structures.mean()),
            "identical_images": float((self.squared_errors == 0).double().mean()),
        }

    def each(self) -> list[Numbers]:
        """PSNR and SSIM of each pair by itself."""
        return [
            {"psnr": psnr(error.reshape(1)), "ssim": float(structure)}
            for error, structure in zip(self.squared_errors, self.structures, strict=True)
        ]


def similarity(run: Run, full_precision: Run) -> Numbers:
    """PSNR, SSIM and the share of identical images between two runs of one seed."""
    shards = zip(run.shards(), full_precision.shards(), strict=True)
    return Likeness.of((ours.images, theirs.images) for ours, theirs in shards).numbers()


def over_seeds(
    seeds: Sequence[Mapping[str, float]],
    count: int,
    full_precision: Sequence[Mapping[str, float]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Mean and spread over seeds of each number, with its difference to full precision if given.

    `count` is the samples behind each seed's value. `std` is null for a single seed: there is no
    noise to speak of, and zero would claim otherwise. Infinite values (PSNR of equal images) are
    null, because JSON has no infinity.
    """
    result: dict[str, dict[str, Any]] = {}
    for key in seeds[0]:
        values = [seed[key] for seed in seeds]
        result[key] = {**_spread(values), "n": count, "values": [json_number(v) for v in values]}
        if full_precision is not None:
            pairs = zip(values, (seed[key] for seed in full_precision), strict=True)
            result[key]["difference"] = _spread([ours - theirs for ours, theirs in pairs])
    return result


def json_number(value: float) -> float | None:
    """`value`, or None where it is infinite or no number: JSON has neither."""
    return value if math.isfinite(value) else None


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    mean = sum(values) / len(values)
    if len(values) < 2 or not math.isfinite(mean):
        return {"mean": json_number(mean), "std": None}
    squares = sum((value - mean) ** 2 for value in values)
    return {"mean": mean, "std": math.sqrt(squares / (len(values) - 1))}
