"""Which settings compete for which budget."""

import pytest

from bitscape.laws import Axis, Budget, plan, study
from bitscape.laws.rivals import widest_activations


def rows_of_two_widths(table):
    """One method at W4A16 and, a little worse, W4A8, which is half the compute."""
    return [*table(a=4.0, w_bits=4, a_bits=16), *table(a=4.04, w_bits=4, a_bits=8)]


def test_widest_of_each_method_at_each_width() -> None:
    cells = [("a", 4, 16), ("a", 4, 8), ("a", 3, 8), ("b", 4, 8)]
    assert widest_activations(cells) == {("a", 4, 16), ("a", 3, 8), ("b", 4, 8)}


@pytest.mark.parametrize("axis", ["model-bits", "compute-bits"])
def test_every_sound_setting_competes_for_compute(table, axis: Axis) -> None:
    found = study(rows_of_two_widths(table), axis)
    answer = plan(found, Budget(kind="compute-bits", limit=40))[0]
    assert (answer.best.scheme, answer.best.model) == ("W4A8", "var-1e+09")


@pytest.mark.parametrize("axis", ["model-bits", "compute-bits"])
def test_narrower_activations_never_win_memory_by_noise(table, axis: Axis) -> None:
    rows = [*table(a=4.04, w_bits=4, a_bits=16), *table(a=4.0, w_bits=4, a_bits=8)]
    answer = plan(study(rows, axis), Budget(kind="memory", limit=1e9))[0]
    assert answer.best.scheme == "W4A16"
    assert answer.runner_up.scheme == "W4A16"


def test_a_sound_setting_may_not_compete_on_model_bits(table) -> None:
    found = study(rows_of_two_widths(table), "model-bits")
    assert [(one.scheme, one.sound, one.competes) for one in found.settings] == [
        ("W4A16", True, True),
        ("W4A8", True, False),
    ]
