"""The real side of every comparison: grey levels, features, and what is kept of them."""

import pytest
import torch

from bitscape.evaluation import real_reference
from bitscape.evaluation.frechet import statistics
from bitscape.evaluation.latents import LatentScale
from bitscape.evaluation.reference import as_bytes


def test_every_grey_level_comes_back() -> None:
    ramp = torch.arange(256, dtype=torch.float32).expand(1, 3, 1, 256)
    assert as_bytes(ramp / 127.5 - 1)[0, 0, :, 2].tolist() == list(range(256))


def test_what_lies_beyond_the_range_saturates_and_the_rest_is_nearest() -> None:
    values = torch.tensor([-3.0, -1.0, 0.4 / 127.5 - 1, 0.6 / 127.5 - 1, 1.0, 3.0])
    found = as_bytes(values.expand(1, 3, 1, 6))
    assert found[0, 0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]


@pytest.mark.parametrize("batch", [7, 60])
def test_reference_is_that_of_all_real_images(discrete, protocol, tmp_path, batch) -> None:
    pipeline = discrete()
    found = real_reference(pipeline, protocol, tmp_path, batch=batch)
    images, _ = protocol.draw(range(60))
    features = protocol.extractor.features(as_bytes(images))
    torch.testing.assert_close(found.features, features)
    assert found.statistics.mean == pytest.approx(statistics(features).mean)
    latents = pipeline.tokenizer.latents(images)
    scale = LatentScale.of(latents)
    torch.testing.assert_close(found.scale.mean, scale.mean)
    torch.testing.assert_close(found.scale.deviation, scale.deviation)
    assert found.latents.mean == pytest.approx(statistics(scale.features(latents)).mean, abs=1e-9)
    assert found.statistics.count == found.latents.count == 60
