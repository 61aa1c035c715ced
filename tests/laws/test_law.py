"""Intervals of one law."""

import numpy as np
import pytest
from scipy import stats

from bitscape.laws import settings_of
from bitscape.laws.fit import fit_floor, fit_power


def fitted(rows):
    (setting,) = settings_of(rows, "model-bits", "fid")
    return setting, fit_power(setting)


def test_exponent_interval_is_that_of_linear_regression(table) -> None:
    setting, law = fitted(table(noise=0.05, seed=3))
    line = stats.linregress(np.log(setting.bits), np.log(setting.quality))
    half = stats.t.ppf(0.975, 2) * line.stderr
    assert law.alpha_ci() == pytest.approx((-line.slope - half, -line.slope + half))


def test_bits_interval_is_where_the_quality_interval_ends(table) -> None:
    _, law = fitted(table(noise=0.02, seed=3))
    low, high = law.bits_at_ci(3.0)
    assert low < law.bits_at(3.0) < high
    assert law.quality_ci(low)[0] == pytest.approx(3.0)
    assert law.quality_ci(high)[1] == pytest.approx(3.0)


def test_bits_interval_is_open_where_size_may_not_help(table) -> None:
    _, law = fitted(table(alpha=0.05, noise=0.3, seed=1))
    assert law.alpha_ci()[0] < 0
    ends = law.bits_at_ci(float(law.quality(1.0)))
    assert ends is None or None in ends


def test_one_more_model_is_less_certain_than_the_law(table) -> None:
    _, law = fitted(table(noise=0.05))
    inner, outer = law.quality_ci(1.0), law.quality_ci(1.0, new_model=True)
    assert outer[0] < inner[0] < inner[1] < outer[1]


def test_deviation_grows_away_from_the_sizes(table) -> None:
    _, law = fitted(table(noise=0.05))
    inside, near, far = law.deviation(np.array([1.0, 50.0, 500.0]))
    assert inside < near < far


def test_without_noise_there_is_no_interval(table) -> None:
    _, law = fitted(table())
    assert law.bits_at_ci(3.0) == pytest.approx((law.bits_at(3.0),) * 2, rel=1e-4)


def test_floored_law_is_flat_far_out(table) -> None:
    (setting,) = settings_of(
        table(a=4, alpha=0.8, floor=2, sizes=[1e8 * 2**k for k in range(7)], noise=0.005),
        "model-bits",
        "fid",
    )
    law = fit_floor(setting)
    low, high = law.quality_ci(1e6)
    assert low < 2 < high and high / low < 1.2
