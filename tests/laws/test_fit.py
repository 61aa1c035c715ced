"""Laws recovered from tables that were drawn from them."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import curve_fit

from bitscape.laws import LawEntry, Row, settings_of, study
from bitscape.laws.choice import fit_all, parallelism
from bitscape.laws.fit import fit_bivariate, fit_effective, fit_floor, fit_power, left_out

AXIS = "model-bits"
SIX = (1e8, 2e8, 4e8, 8e8, 1.6e9, 3.2e9)


def one(rows: list[Row]):
    """The only setting of `rows`."""
    (setting,) = settings_of(rows, "model-bits", "fid")
    return setting


def test_power_law_is_recovered(table) -> None:
    law = fit_power(one(table(a=4, alpha=0.3)))
    assert (np.exp(law.log_a), law.alpha, law.r2) == pytest.approx((4, 0.3, 1))
    assert law.dof == 2
    assert law.bits_at(float(law.quality(1.7))) == pytest.approx(1.7)


def test_floor_is_recovered(table) -> None:
    law = fit_floor(one(table(a=4, alpha=0.6, floor=1.5, sizes=SIX)))
    assert (np.exp(law.log_a), law.alpha, law.floor) == pytest.approx((4, 0.6, 1.5), rel=1e-4)
    assert law.dof == 3
    assert law.bits_at(1.4) is None


def test_a_floor_that_does_not_help_is_none(table) -> None:
    setting = one(table(noise=0.02, a=4, alpha=0.3, seed=2))
    power, floored = fit_power(setting), fit_floor(setting)
    assert floored.floor == 0
    assert floored.alpha == pytest.approx(power.alpha)
    assert floored.dof == power.dof - 1
    steeper = one([*table(sizes=(1e8, 3e8), alpha=0.2), *table(a=3, sizes=(1e9, 3e9), alpha=0.9)])
    assert fit_floor(steeper).floor == 0


def test_floor_never_fits_worse(table) -> None:
    for seed in range(20):
        setting = one(table(noise=0.1, sizes=SIX, seed=seed))
        power, floored = fit_power(setting), fit_floor(setting)
        assert floored.r2 >= power.r2 - 1e-9


def test_bivariate_law_is_recovered(table) -> None:
    """Q = a N^-alpha b^-beta, which is a (bN)^-alpha with a' = a b^(alpha - beta)."""
    rows = [
        row
        for bits in (3, 4, 8)
        for row in table(a=2 * bits ** (0.3 - 0.5), alpha=0.3, w_bits=bits)
    ]
    settings = settings_of(rows, "model-bits", "fid")
    for index, setting in enumerate(settings):
        law = fit_bivariate([setting, *settings[:index], *settings[index + 1 :]], "model-bits")
        assert law.alpha == pytest.approx(0.3)
        assert np.exp(law.log_a) == pytest.approx(2 * setting.w_bits ** (0.3 - 0.5))
        assert law.dof == 12 - 3


def test_effective_parameters_share_one_exponent(table) -> None:
    rows = [row for bits, a in ((3, 9.0), (4, 5.0), (8, 6.0)) for row in table(a=a, w_bits=bits)]
    settings = settings_of(rows, "model-bits", "fid")
    laws = [fit_effective(settings[index:] + settings[:index]) for index in range(3)]
    assert [law.alpha for law in laws] == pytest.approx([0.3] * 3)
    assert [float(np.exp(law.log_a)) for law in laws] == pytest.approx([9, 5, 6])
    assert laws[0].dof == 12 - 4


def shares_of(table, noise: float) -> list[Row]:
    """Q = 2 (N g)^-0.3 with g = 1 at 16 bits, 0.9 at 8 and 0.5 at 4."""
    return [
        row
        for bits, share in ((16, 1.0), (8, 0.9), (4, 0.5))
        for row in table(a=2 * (share / bits) ** -0.3, w_bits=bits, noise=noise, seed=bits)
    ]


def effective(rows: list[Row], bits: int) -> LawEntry:
    """The effective-parameter form of one precision."""
    laws = [law for law in study(rows).laws if law.form == "effective"]
    return next(law for law in laws if law.w_bits == bits)


@pytest.mark.parametrize(("bits", "share"), [(8, 0.9), (4, 0.5)])
def test_effective_shares_are_of_full_precision(table, bits: int, share: float) -> None:
    law = effective(shares_of(table, 0.0), bits)
    assert law.share == pytest.approx(share)
    assert law.beta is None


def test_share_has_the_interval_of_a_fit_that_holds_it(table) -> None:
    """The form fitted over log g itself, by another routine."""
    rows = shares_of(table, 0.01)
    own = np.array([[row.w_bits == 8, row.w_bits == 4] for row in rows], dtype=float)
    sizes = np.log([row.parameters / 1e9 for row in rows])

    def model(_: object, log_a: float, alpha: float, *shares: float) -> np.ndarray:
        return log_a - alpha * (sizes + own @ np.array(shares))

    y = np.log([row.value for row in rows])
    theta, covariance = curve_fit(model, sizes, y, p0=(1.0, 0.3, 0.0, 0.0))
    half = stats.t.ppf(0.975, 12 - 4) * covariance[3, 3] ** 0.5
    law = effective(rows, 4)
    assert law.share == pytest.approx(np.exp(theta[3]), rel=1e-5)
    assert law.share_ci == pytest.approx(np.exp((theta[3] - half, theta[3] + half)), rel=1e-4)


def test_beta_has_the_interval_of_regression(table) -> None:
    rows = [row for bits in (3, 4, 8) for row in table(w_bits=bits, noise=0.05, seed=bits)]
    law = next(one for one in study(rows).laws if one.form == "bivariate")
    columns = [[1, -np.log(row.parameters / 1e9), -np.log(row.w_bits)] for row in rows]
    design, y = np.array(columns), np.log([row.value for row in rows])
    theta, (residual,), *_ = np.linalg.lstsq(design, y)
    error = np.sqrt(np.linalg.inv(design.T @ design)[2, 2] * residual / 9)
    half = stats.t.ppf(0.975, 9) * error
    assert law.beta == pytest.approx(theta[2])
    assert law.beta_ci == pytest.approx((theta[2] - half, theta[2] + half))


def test_shared_forms_need_two_precisions(table) -> None:
    settings = settings_of(table(), "model-bits", "fid")
    assert fit_bivariate(settings, "model-bits") is None
    assert fit_effective(settings) is None


def test_parallel_lines_pass_and_crossing_ones_do_not(table) -> None:
    def p(*exponents: float) -> float:
        rows = [
            row
            for bits, alpha in zip((3, 4, 8), exponents, strict=True)
            for row in table(alpha=alpha, w_bits=bits, noise=0.01, seed=bits)
        ]
        (test,) = parallelism(settings_of(rows, "model-bits", "fid"))
        assert test.dof == (2, 6)
        return test.p

    assert p(0.3, 0.3, 0.3) > 0.05 > 0.001 > p(0.3, 0.5, 0.8)


def test_two_sizes_make_no_law(table) -> None:
    found = study([*table(sizes=(1e8, 1e9)), *table(method="rtn")])
    few = [law for law in found.laws if law.method == "gptq"]
    assert all(law.alpha is None and not law.chosen and "2 sizes" in law.reason for law in few)
    assert any("too few sizes" in said for said in found.caveats)


def test_forms_are_chosen_by_the_size_left_out(table) -> None:
    floored = table(a=4, alpha=0.9, floor=2, sizes=SIX, noise=0.002)
    straight = table(a=4, alpha=0.3, sizes=SIX, noise=0.02, method="rtn")
    found = fit_all(settings_of([*floored, *straight], "model-bits", "fid"), "model-bits")
    assert [one.chosen for one in found] == ["power-floor", "power"]
    assert found[0].errors["power-floor"] < found[0].errors["power"]


def test_runs_of_one_size_become_one_point(table) -> None:
    twice = [*table(noise=0.1, seed=1), *table(noise=0.1, seed=2)]
    setting = one(twice)
    assert [point.repeats for point in setting.points] == [2] * 4
    assert fit_power(setting).dof == 2
    first, second = (one(table(noise=0.1, seed=seed)) for seed in (1, 2))
    assert setting.quality == pytest.approx(np.sqrt(first.quality * second.quality))


def test_rows_of_two_sources_are_never_fitted_together(table) -> None:
    rows = [*table(sizes=(1e8, 3e8)), *table(sizes=(1e9, 3e9), source="there")]
    assert all(law.alpha is None for law in study(rows).laws)


def test_metrics_that_rise_are_refused(table) -> None:
    with pytest.raises(ValueError, match="better when higher"):
        study(table(metric="is"), metric="is")
    with pytest.raises(ValueError, match="no row measures 'nll'"):
        study(table(), metric="nll")


@pytest.mark.parametrize("form", ["power", "bivariate", "effective"])
def test_left_out_errors_are_those_of_refitting(table, form: str) -> None:
    rows = [row for bits in (4, 8) for row in table(w_bits=bits, noise=0.05, seed=bits)]
    settings = settings_of(rows, "model-bits", "fid")

    def fit(settings):
        if form == "power":
            return fit_power(settings[0])
        return fit_effective(settings) if form == "effective" else fit_bivariate(settings, AXIS)

    expected = []
    for point in settings[0].points:
        law = fit([setting.without(point.parameters) for setting in settings])
        expected.append(np.log(point.quality) - np.log(law.quality(point.bits)))
    assert left_out(form, settings, AXIS) == pytest.approx(np.array(expected))
