"""The Pareto frontier over budgets: which setting's law is best where it was measured."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitscape.laws.choice import Fitted
from bitscape.laws.fit import moves
from bitscape.laws.law import Law
from bitscape.laws.rivals import competitors
from bitscape.laws.settings import Axis, Ladder

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

DRAWS = 1000
PER_DECADE = 40
BEYOND = 2.0
_TOLERANCE = 1e-6


class Cell(NamedTuple):
    """The best setting at one budget, spent whole on a model of the size that fits it.

    `membership` is the share of bootstrap draws in which the setting is the best there. An
    `extrapolated` cell lies outside the sizes of its setting, by the factor `times_beyond`.
    """

    fitted: Fitted
    budget: float
    membership: float
    extrapolated: bool
    times_beyond: float


class Frontier(NamedTuple):
    """The frontier of one ladder: `cells` as a deployer may use them, and `unguarded`.

    `cells` holds, at each budget, the best law among the settings that were measured there, if it
    beats every smaller budget; below the smallest and above the largest measurement it holds
    extrapolated cells, marked. `unguarded` is what blind trust in every law would say.
    """

    ladder: Ladder
    cells: tuple[Cell, ...]
    unguarded: tuple[Cell, ...]


def frontiers(fitted: Sequence[Fitted], axis: Axis) -> list[Frontier]:
    """The frontier of each ladder with at least two settings that may compete."""
    ladders = dict.fromkeys(one.setting.ladder for one in fitted)
    groups = [[one for one in fitted if one.setting.ladder == ladder] for ladder in ladders]
    found = [competitors(group, axis) for group in groups]
    return [_frontier(group, axis) for group in found if len(group) > 1]


def times_beyond(fitted: Fitted, bits: float) -> float:
    """By what factor `bits` lie outside the measured sizes; 1 inside."""
    low, high = float(fitted.setting.bits.min()), float(fitted.setting.bits.max())
    factor = max(low / bits, bits / high, 1.0)
    return 1.0 if factor < 1 + _TOLERANCE else factor


def _frontier(group: Sequence[Fitted], axis: Axis) -> Frontier:
    budgets = _budgets(group)
    log_quality = np.stack([np.log(_law(one).quality(budgets)) for one in group])
    beyond = np.array([[times_beyond(one, bits) for bits in budgets] for one in group])
    inside = beyond == 1.0
    guarded = np.where(inside, log_quality, np.inf)
    measured_somewhere = inside.any(axis=0)
    share, free_share = _membership(group, axis, budgets, inside)
    cells, unguarded, reached = [], [], np.inf
    for at, budget in enumerate(budgets):
        free = int(log_quality[:, at].argmin())
        blind = _cell(group[free], budget, free_share[free, at], beyond[free, at])
        unguarded.append(blind)
        if not measured_somewhere[at]:
            cells.append(blind)
            continue
        best = int(guarded[:, at].argmin())
        if guarded[best, at] < reached:
            reached = guarded[best, at]
            cells.append(_cell(group[best], budget, share[best, at], 1.0))
    return Frontier(group[0].setting.ladder, tuple(cells), tuple(unguarded))


def _cell(fitted: Fitted, budget: float, membership: float, beyond: float) -> Cell:
    return Cell(fitted, float(budget), float(membership), bool(beyond > 1), float(beyond))


def _budgets(group: Sequence[Fitted]) -> Vector:
    """Every measured cost, and round numbers between them, to twice beyond both ends."""
    costs = np.concatenate([one.setting.bits for one in group])
    low, high = np.log10(costs.min() / BEYOND), np.log10(costs.max() * BEYOND)
    even = 10 ** np.linspace(low, high, int((high - low) * PER_DECADE) + 2)
    rounded = [float(f"{value:.3g}") for value in even]
    return np.unique(np.array([*rounded, *np.round(costs, 9)]))


def _membership(
    group: Sequence[Fitted], axis: Axis, budgets: Vector, inside: NDArray[np.bool_]
) -> tuple[Matrix, Matrix]:
    """Share of bootstrap draws won, by setting and budget: among the measured ones, among all.

    Wild bootstrap: the residual of each size is multiplied by a normal number that all settings
    share at that size, since a lucky model is lucky at every precision. Refitting a law to such
    residuals moves it by a fixed vector for each size.
    """
    influences = [_influence(one, axis, budgets) for one in group]
    sizes = sorted({size for influence in influences for size in influence})
    weights = np.random.default_rng(0).standard_normal((DRAWS, len(sizes)))
    fits = np.stack([np.log(_law(one).quality(budgets)) for one in group])
    shifts = np.zeros((len(sizes), *fits.shape))
    for index, influence in enumerate(influences):
        for size, shift in influence.items():
            shifts[sizes.index(size), index] = shift
    shares = np.zeros((2, *fits.shape))
    columns = np.arange(len(budgets))
    for draw in weights:
        moved = fits + np.tensordot(draw, shifts, axes=1)
        shares[0, np.where(inside, moved, np.inf).argmin(axis=0), columns] += 1
        shares[1, moved.argmin(axis=0), columns] += 1
    return shares[0] / DRAWS, shares[1] / DRAWS


def _influence(fitted: Fitted, axis: Axis, budgets: Vector) -> dict[int, Vector]:
    """What one deviation of each size's residuals does to log Q at each budget."""
    law = _law(fitted)
    gradient = law.gradient(budgets)
    found = moves(law.form, fitted.group, axis, law)
    return {size: np.asarray(gradient @ move) for size, move in found.items()}


def _law(fitted: Fitted) -> Law:
    if fitted.law is None:
        raise ValueError(f"{fitted.setting.label} has too few sizes for a law")
    return fitted.law
