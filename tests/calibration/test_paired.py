"""Paired inputs: moments of one site in two networks, however the rows are dealt out in calls."""

import pytest
import torch

from bitscape.calibration import PairedInputs

STEP = torch.zeros(1, 1, dtype=torch.int64)


@pytest.mark.parametrize("centred", [False, True])
def test_moments_are_those_of_all_rows_together(centred: bool) -> None:
    full = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(0)) + 2
    own = full * 0.9 + 0.3
    pairs = PairedInputs(4)
    for part in (slice(0, 1), slice(1, 4), slice(4, 6)):
        pairs.full.update(full[part], STEP)
        pairs.update(own[part], STEP)
    drift = pairs.drift(centred=centred)
    u, v = full.flatten(0, 1).double(), own.flatten(0, 1).double()
    torch.testing.assert_close(drift.own, v.mean(0))
    torch.testing.assert_close(drift.full, u.mean(0))
    a, b = (v - v.mean(0), u - u.mean(0)) if centred else (v, u)
    torch.testing.assert_close(drift.H, a.T @ a / 30)
    torch.testing.assert_close(drift.D, (b - a).T @ a / 30)
    assert pairs.rows == 30


def test_equal_inputs_have_no_drift_at_all() -> None:
    pairs = PairedInputs(3)
    u = torch.randn(2, 7, 3)
    pairs.full.update(u, STEP)
    pairs.update(u, STEP)
    assert not pairs.drift(centred=True).D.any()


def test_rows_that_full_precision_never_had_are_an_error() -> None:
    with pytest.raises(IndexError):
        PairedInputs(3).update(torch.zeros(1, 1, 3), STEP)
