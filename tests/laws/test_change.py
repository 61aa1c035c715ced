"""Quantized models against their own full precision, where two sizes make no law."""

import numpy as np
import pytest

from bitscape.laws import Row, study

FULL = {"method": "none", "w_bits": 16, "a_bits": 16}
TWO = (1e8, 1e9)


def scaled(rows: list[Row], *factors: float, **changes: object) -> list[Row]:
    """Rows with their values times one factor each."""
    pairs = zip(rows, factors, strict=True)
    return [row._replace(value=row.value * factor, **changes) for row, factor in pairs]


def test_ratio_is_the_geometric_mean_over_the_models(table) -> None:
    full = table(**FULL, sizes=TWO)
    ours = scaled(table(sizes=TWO, a=4 * 4**-0.3), 1.2, 1.5)
    expected = [row.value / other.value for row, other in zip(ours, full, strict=True)]
    [one] = study([*full, *ours]).changes
    assert [model.change for model in one.models] == pytest.approx(expected)
    assert (one.kind, one.error) == ("ratio", None)
    assert one.change == pytest.approx(np.sqrt(np.prod(expected)))


def test_losses_are_told_as_differences(table) -> None:
    full = table(**FULL, sizes=TWO, metric="nll")
    ours = [row._replace(value=row.value + 0.25) for row in table(**FULL, sizes=TWO, metric="nll")]
    ours = [row._replace(method="rtn", scheme="W4A16", w_bits=4) for row in ours]
    [one] = study([*full, *ours]).changes
    assert (one.kind, one.change) == ("difference", pytest.approx(0.25))


def test_what_the_record_measured_beside_it_goes_before_another_run(table) -> None:
    full, ours = table(**FULL, sizes=TWO), table(sizes=TWO)
    paired = [row._replace(full=row.value / 3) for row in ours]
    assert study([*full, *paired]).changes[0].change == pytest.approx(3)
    assert study(paired).changes[0].change == pytest.approx(3)
    assert study(ours).changes == ()


def test_error_joins_seeds_and_images(table) -> None:
    """Seeds of calibration average out; the images, which all of them share, do not."""
    row = table(metric="nll", sizes=(1e8,))[0]
    runs = [row._replace(value=2.0 + x, full=1.0, error=0.03) for x in (-0.1, 0.0, 0.1)]
    [one] = study(runs).changes
    assert one.change == pytest.approx(1.0)
    assert one.error == pytest.approx(np.hypot(0.1 / np.sqrt(3), 0.03))
    [ratio] = study([row._replace(metric="fid", value=2.0, full=1.0, error=0.03)]).changes
    assert (ratio.change, ratio.error) == (pytest.approx(2), pytest.approx(0.03))


def test_error_of_the_mean_over_models(table) -> None:
    rows = table(metric="nll", sizes=TWO)
    known = [
        row._replace(full=1.0, error=error) for row, error in zip(rows, (0.3, 0.4), strict=True)
    ]
    assert study(known).changes[0].error == pytest.approx(0.25)
    assert study([known[0], known[1]._replace(error=None)]).changes[0].error is None


def test_seeds_of_training_are_models_of_their_own(table) -> None:
    row = table(sizes=(1e8,))[0]
    rows = [
        row._replace(model=model, value=value, full=full)
        for model, value, full in (("m", 2.0, 1.0), ("m-seed1", 8.0, 1.0))
    ]
    [one] = study(rows).changes
    assert {model.model: model.change for model in one.models} == pytest.approx(
        {"m": 2.0, "m-seed1": 8.0}
    )
    assert one.change == pytest.approx(4)
