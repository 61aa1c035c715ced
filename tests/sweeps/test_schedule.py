"""Which cell comes next: memory first, then what a worker already holds."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bitscape.sweeps import Grid
from bitscape.sweeps.schedule import Schedule

CELLS = Grid(models=("a", "b", "c"), recipes=("x", "y"), seeds=(0, 1)).cells(Path())


@given(
    st.lists(st.integers(0, 12), min_size=len(CELLS), max_size=len(CELLS)),
    st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_memory_is_never_exceeded_and_every_cell_comes_once(needs, takes) -> None:
    need = dict(zip((cell.key for cell in CELLS), needs, strict=True))
    schedule = Schedule(CELLS, lambda cell: need[cell.key], 10)
    running, taken = [], []
    for take in [*takes, *[True, False] * len(CELLS)]:
        cell = schedule.take(taken[-1] if taken else None) if take else None
        if cell is not None:
            running.append(cell)
            taken.append(cell)
            assert len(running) == 1 or sum(need[each.key] for each in running) <= 10
        elif running:
            schedule.finish(running.pop(0))
    assert sorted(cell.key for cell in taken) == sorted(cell.key for cell in CELLS)


def test_a_worker_stays_with_its_model_and_leaves_others_theirs() -> None:
    schedule = Schedule(CELLS, lambda cell: 1, 100)
    first, second = schedule.take(None), schedule.take(None)
    assert (first.model, second.model) == ("a", "b")
    schedule.finish(first)
    again = schedule.take(first)
    assert (again.model, again.recipe) == ("a", "x")


def test_a_lost_cell_comes_next_and_alone() -> None:
    schedule = Schedule(CELLS, lambda cell: 1, 100)
    first, second = schedule.take(None), schedule.take(None)
    schedule.again(first)
    assert schedule.take(None) not in (first, None)
    for cell in [cell for cell, _ in schedule.running.values()]:
        schedule.finish(cell)
    schedule.waiting = [first, CELLS[-1]]
    assert schedule.take(None) == first
    assert schedule.take(second) is None
