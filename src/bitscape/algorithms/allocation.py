"""Allocation: one option for each site, of the least total loss within a budget."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import block_diag, csr_matrix

Table = Sequence[Sequence[float]]


def allocate(losses: Table, costs: Table, budget: float) -> list[int]:
    """The option of each site that minimises the sum of losses with costs of at most `budget`.

    min sum l_ij x_ij,  sum_j x_ij = 1,  sum c_ij x_ij <= budget,  x binary: the multiple-choice
    knapsack problem, solved exactly. ValueError names the least cost when nothing fits.
    """
    least = sum(min(row) for row in costs)
    if least > budget:
        raise ValueError(f"a budget of {budget:g} is too small: the least that fits is {least:g}")
    sizes = [len(row) for row in losses]
    assert sizes == [len(row) for row in costs]
    loss = np.concatenate([np.asarray(row, dtype=float) for row in losses])
    cost = np.concatenate([np.asarray(row, dtype=float) for row in costs])
    once = csr_matrix(block_diag([np.ones((1, size)) for size in sizes]))
    found = milp(
        # Losses of a network can be tiny, and the solver's tolerances are absolute.
        loss / max(float(np.abs(loss).max()), 1e-300),
        constraints=[
            LinearConstraint(once, 1, 1),
            LinearConstraint(csr_matrix(cost[None] / budget), -np.inf, 1.0),
        ],
        integrality=np.ones_like(loss),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    if found.x is None:
        raise ValueError(f"no allocation was found within {budget:g}: {found.message}")
    starts = np.cumsum([0, *sizes])
    spans = zip(starts[:-1], starts[1:], strict=True)
    return [int(found.x[start:stop].argmax()) for start, stop in spans]
