"""Sampled rows: they stand for all rows, and extremes miss none."""

import pytest
import torch

from bitscape.calibration import RowSamples
from bitscape.structure import Role, Site

SITE = Site("layer", Role.QKV)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_every_position_is_kept_and_weights_count_all_rows() -> None:
    samples = RowSamples(SITE, limit=64, per_call=16)
    step = torch.tensor([[0, 1, 1, 1, 2, 2, 2, 2, 2, 2]])
    inputs = [drawn(4, 10, 8, seed=s) for s in range(5)]
    for u in inputs:
        samples.update(u, step)
    rows = samples.rows()
    assert len(rows.X) <= 64
    assert rows.positions.unique().tolist() == rows.seen.tolist() == [0, 1, 2]
    assert float(rows.weights.sum()) == pytest.approx(5 * 4 * 10)
    everything = torch.cat(inputs).flatten(0, 1)
    assert torch.equal(rows.max_abs, everything.abs().amax(dim=0))
    torch.testing.assert_close(rows.mean_abs, everything.abs().mean(dim=0))
    first = torch.cat(inputs)[:, 0]
    assert torch.equal(rows.low[0], first.amin(dim=0))
    assert torch.equal(rows.high[0], first.amax(dim=0))


def test_rows_after_the_sinks() -> None:
    samples = RowSamples(SITE)
    samples.update(drawn(4, 3, 8), torch.tensor([[0, 1, 2]]))
    rows = samples.rows().after(1)
    assert rows.positions.min() == 1
    assert rows.seen.tolist() == [1, 2]
    assert samples.rows().after(7).seen.tolist() == [0, 1, 2]


def test_one_vector_a_sample_has_one_position() -> None:
    samples = RowSamples(Site("ada", Role.ADA, tokens=False))
    samples.update(drawn(4, 8), torch.tensor([[0, 1, 2]]))
    assert samples.rows().seen.tolist() == [0]


def test_a_site_that_is_never_reached_is_named() -> None:
    with pytest.raises(ValueError, match="layer is never reached"):
        RowSamples(SITE).rows()
