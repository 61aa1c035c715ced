"""How the frontier's bootstrap moves a law: as refitting it would."""

import numpy as np
import pytest

from bitscape.laws import Axis, settings_of
from bitscape.laws.choice import Fitted
from bitscape.laws.fit import fit_bivariate, fit_effective, fit_floor, fit_power
from bitscape.laws.frontier import _influence

AXIS: Axis = "model-bits"
BUDGETS = np.array([0.2, 1.0, 8.0])
FITS = {
    "power": lambda group: fit_power(group[0]),
    "power-floor": lambda group: fit_floor(group[0]),
    "bivariate": lambda group: fit_bivariate(group, AXIS),
    "effective": fit_effective,
}


@pytest.mark.parametrize("form", ["power", "bivariate", "effective"])
def test_a_size_moves_a_law_as_refitting_does(table, form: str) -> None:
    """Residuals of one size, inflated by (N / dof)^0.5, added in all settings of the fit."""
    rows = [row for bits in (3, 4, 8) for row in table(w_bits=bits, noise=0.05, seed=bits)]
    group = settings_of(rows, AXIS, "fid")[: 1 if form == "power" else 3]
    law = FITS[form](group)
    laws = {one.w_bits: FITS[form]([one, *(x for x in group if x is not one)]) for one in group}
    count = sum(len(one.points) for one in group)
    found = _influence(Fitted(group[0], {form: law}, {}, form, tuple(group)), AXIS, BUDGETS)
    assert len(found) == 4
    for size, shift in found.items():
        moved = [_moved(one, size, laws[one.w_bits], (count / law.dof) ** 0.5) for one in group]
        expected = np.log(FITS[form](moved).quality(BUDGETS)) - np.log(law.quality(BUDGETS))
        assert shift == pytest.approx(expected, abs=1e-12)


def _moved(setting, size, law, inflation):
    """The setting with the residual of one size added to it once more, inflated."""
    points = [
        point._replace(
            quality=point.quality * (point.quality / float(law.quality(point.bits))) ** inflation
        )
        if point.parameters == size
        else point
        for point in setting.points
    ]
    return setting._replace(points=tuple(points))


def test_a_floor_moves_along_its_tangent(table) -> None:
    """To first order in the residuals, hence with little noise."""
    sizes = [1e8 * 2**k for k in range(7)]
    rows = table(a=4, alpha=0.8, floor=2, sizes=sizes, noise=1e-5)
    (setting,) = settings_of(rows, AXIS, "fid")
    law = fit_floor(setting)
    found = _influence(
        Fitted(setting, {"power-floor": law}, {}, "power-floor", (setting,)), AXIS, BUDGETS
    )
    for size, shift in found.items():
        moved = _moved(setting, size, law, (7 / law.dof) ** 0.5)
        expected = np.log(fit_floor(moved).quality(BUDGETS)) - np.log(law.quality(BUDGETS))
        assert shift == pytest.approx(expected, abs=2e-7)
