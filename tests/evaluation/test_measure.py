"""Numbers of pairs of images: batches make no difference, and infinity is not written."""

import math
import statistics as plain

import pytest
import torch

from bitscape.evaluation.frechet import frechet_distance, statistics
from bitscape.evaluation.generate import Shard
from bitscape.evaluation.latents import LatentScale
from bitscape.evaluation.manifold import precision_recall
from bitscape.evaluation.measure import Likeness, json_number, over_seeds, quality
from bitscape.evaluation.reference import Reference
from bitscape.evaluation.similarity import psnr, squared_error, ssim


def test_likeness_does_not_depend_on_the_batches() -> None:
    drawn = torch.Generator().manual_seed(0)
    a = torch.randint(0, 256, (5, 16, 16, 3), generator=drawn, dtype=torch.uint8)
    b = a.clone()
    b[1:] = torch.randint(0, 256, (4, 16, 16, 3), generator=drawn, dtype=torch.uint8)
    # Iterators, as from shards: within a list, the checker would have all batches of one size.
    whole = Likeness.of(iter([(a, b)]))
    parts = Likeness.of(iter([(a[:2], b[:2]), (a[2:], b[2:])]))
    assert parts.each() == whole.each() and parts.numbers() == whole.numbers()
    assert whole.numbers() == {
        "psnr": psnr(squared_error(a, b)),
        "ssim": pytest.approx(float(ssim(a, b).mean())),
        "identical_images": 0.2,
    }
    first, second = whole.each()[:2]
    assert first["psnr"] == math.inf
    assert second["psnr"] == psnr(squared_error(a[1:2], b[1:2]))


def test_json_has_no_infinity() -> None:
    assert [json_number(value) for value in (1.5, math.inf, math.nan)] == [1.5, None, None]


def test_quality_of_two_shards_is_that_of_all_their_images(protocol) -> None:
    drawn = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (14, 12, 12, 3), generator=drawn, dtype=torch.uint8)
    latents = torch.randn(14, 2, 3, 3, generator=drawn)
    features = protocol.extractor.features(images)
    scores = protocol.extractor.logits(features)
    labels = scores.argmax(dim=1)
    labels[[2, 9]] = scores[[2, 9]].argmin(dim=1)
    # Real features lie closer together, so that precision and recall differ.
    real = features.mean(dim=0) + 0.5 * features.std(dim=0) * torch.randn(20, 5, generator=drawn)
    scale = LatentScale(torch.tensor([0.1, -0.2]).double(), torch.tensor([1.0, 2.0]).double())
    reference = Reference(real, statistics(real), scale, statistics(torch.randn(20, 4)))
    parts = [Shard(images[p], latents[p], labels[p]) for p in (slice(0, 8), slice(8, 14))]
    found = quality(parts, protocol, reference)
    # As many real samples as there are images.
    manifolds = precision_recall(real[:14], features)
    assert manifolds.precision != manifolds.recall
    assert found == {
        "fd_shapes": pytest.approx(frechet_distance(statistics(features), statistics(real))),
        "fd_latent": pytest.approx(
            frechet_distance(statistics(scale.features(latents)), reference.latents)
        ),
        "class_accuracy": pytest.approx(12 / 14),
        "precision": manifolds.precision,
        "recall": manifolds.recall,
    }


def test_spread_over_seeds_is_that_of_a_sample() -> None:
    ours = [{"fd": 3.0, "psnr": 20.0}, {"fd": 4.5, "psnr": math.inf}, {"fd": 3.5, "psnr": 22.0}]
    full = [{"fd": 2.0, "psnr": 0.0}, {"fd": 4.0, "psnr": 0.0}, {"fd": 3.5, "psnr": 0.0}]
    found = over_seeds(ours, 50, full)
    assert found["fd"] == {
        "mean": pytest.approx(plain.mean([3.0, 4.5, 3.5])),
        "std": pytest.approx(plain.stdev([3.0, 4.5, 3.5])),
        "n": 50,
        "values": [3.0, 4.5, 3.5],
        # Of the differences seed by seed, which is not the difference of the spreads.
        "difference": {"mean": pytest.approx(0.5), "std": pytest.approx(plain.stdev([1, 0.5, 0]))},
    }
    assert found["psnr"]["mean"] is None and found["psnr"]["std"] is None
    assert found["psnr"]["values"] == [20.0, None, 22.0]


def test_a_single_seed_has_no_spread() -> None:
    found = over_seeds([{"fd": 3.0}], 50)
    assert found == {"fd": {"mean": 3.0, "std": None, "n": 50, "values": [3.0]}}
