"""Even samples: bounded, ascending, and blind to no channel."""

import pytest
import torch

from bitscape.calibration import RowSamples, StepSamples, spread
from bitscape.structure import Role, Site, constant_step

CPU = torch.device("cpu")


@pytest.mark.parametrize("count", [1, 7, 64, 65, 100, 1000])
def test_places_are_distinct_ascending_and_all_where_there_are_few(count: int) -> None:
    places = spread(count, 64, CPU)
    assert (places.diff() > 0).all()
    assert 0.6 * min(count, 64) < len(places) <= 64
    assert 0 <= int(places.min()) <= int(places.max()) < count
    if count <= 64:
        assert places.tolist() == list(range(count))


@pytest.mark.parametrize("channels", [8, 36, 48, 64, 192, 1000])
def test_every_channel_is_seen_alike(channels: int) -> None:
    places = spread(1024 * channels, 4096, CPU)
    # A fixed stride would see one channel in 1024 * channels / 4096.
    seen = (places % channels).bincount(minlength=channels)
    assert float(seen.max() - seen.min()) <= max(6, 0.1 * 4096 / channels)


def test_samples_of_a_site_see_every_channel_and_column() -> None:
    # Each value is its own channel, and each row its own column of an image 8 pixels wide.
    values, rows = StepSamples(Site("a", Role.QKV)), RowSamples(Site("a", Role.QKV))
    u = torch.arange(48.0).expand(16, 64, 48)
    values.update(u, constant_step(0))
    assert values.row([0])[0].unique().tolist() == list(range(48))
    rows.update(torch.arange(64).remainder(8.0)[None, :, None].expand(16, 64, 2), constant_step(0))
    assert rows.rows().X[:, 0].unique().tolist() == list(range(8))
