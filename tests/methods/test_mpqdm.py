"""MPQ-DM: arms of its ablation differ in one choice, and the published parts can be asked for."""

from typing import Any

import pytest

from bitscape.algorithms.row_bits import keep_uniform, swap_by_error, swap_by_kurtosis
from bitscape.methods.mpqdm import MPQDM, FaithfulMPQDM
from bitscape.passes import AssignBits, BalanceInputs, Distill, Pass, Relations
from bitscape.recipes import find_recipe


def start(**options: Any) -> list[Pass]:
    """The passes of MPQ-DM without training."""
    return MPQDM(steps=0, **options).passes()


def test_choices_of_bits_differ_in_nothing_else() -> None:
    kinds = {}
    for bits, choose in (
        ("uniform", keep_uniform),
        ("kurtosis", swap_by_kurtosis),
        ("error", swap_by_error),
    ):
        assign, *rest = start(bits=bits)
        assert isinstance(assign, AssignBits) and assign.choose is choose
        kinds[bits] = (assign.rounder, assign.activations, assign.rows, rest)
    assert kinds["uniform"] == kinds["kurtosis"] == kinds["error"]


def test_the_published_parts_are_options() -> None:
    distill = MPQDM(itself=True, balanced=True).passes()[-1]
    assert isinstance(distill, Distill)
    assert isinstance(distill.objective, Relations) and distill.objective.itself
    plain, balanced = start(), start(balanced=True)
    assert isinstance(balanced[0], BalanceInputs) and balanced[0].alphas == (0.5,)
    assert balanced[1:] == plain
    assert balanced[0].activations == plain[-1]


def test_rows_that_stay_uniform_cannot_have_a_tenth_more() -> None:
    with pytest.raises(ValueError, match="the last without plus, got uniform"):
        MPQDM(bits="uniform", plus=True)
    with pytest.raises(ValueError, match="0 steps"):
        FaithfulMPQDM(steps=-1)


def test_the_baseline_learns_from_the_same_data() -> None:
    recipes = [find_recipe(f"{name}-w2a4-static") for name in ("efficientdm", "mpq-dm")]
    assert recipes[0].calibration == recipes[1].calibration
