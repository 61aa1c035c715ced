"""Numbers over different n are kept apart, and what that leaves out is said."""

import pytest

from bitscape.laws import Row, study
from bitscape.laws.samples import alike

FULL = {"method": "none", "w_bits": 16, "a_bits": 16}
SIZES = (1e8, 3e8, 1e9)


def kept(rows: list[Row]) -> set[int | None]:
    """The numbers of samples that stay."""
    return {row.samples for row in alike(rows)[0]}


def test_seeds_of_a_cell_count_once(table) -> None:
    """Three seeds of few samples are fewer cells than one seed of twice the settings."""
    many = [row for bits in (4, 8) for row in table(w_bits=bits, metric="nll", samples=2000)]
    few = 3 * table(w_bits=4, metric="nll", samples=100)
    assert len(few) > len(many)
    rows, left = alike([*few, *many])
    assert {row.samples for row in rows} == {2000}
    assert [(one.metric, one.samples, one.kept, one.cells) for one in left] == [
        ("nll", 100, 2000, 4)
    ]


def test_most_cells_win_and_the_greater_n_on_ties(table) -> None:
    two = [row for bits in (4, 8) for row in table(w_bits=bits, metric="nll", samples=100)]
    one = table(metric="nll", samples=2000)
    assert kept([*two, *one]) == {100}
    assert kept([*two[:4], *one]) == {2000}


def test_a_distance_of_fewer_images_never_wins_over_laws_of_more(table) -> None:
    small = [row for bits in (2, 3, 4, 8) for row in table(w_bits=bits, samples=100)]
    small += table(**FULL, samples=100)
    large = [*table(**FULL, samples=2000), *table(samples=2000)]
    assert kept([*small, *large]) == {2000}
    assert kept([*table(samples=100), *table(w_bits=3, samples=100), *table(samples=2000)]) == {
        2000
    }


def test_a_few_cells_of_many_images_make_no_law_and_are_left_out(table) -> None:
    usual = [*table(**FULL, samples=2000), *table(samples=2000)]
    few = table(sizes=SIZES[:2], samples=5000)
    alone = table(sizes=SIZES, w_bits=3, samples=5000)
    for more, cells in ((few, 2), ([*few, *alone], 5)):
        rows, left = alike([*usual, *more])
        assert {row.samples for row in rows} == {2000}
        assert [(one.samples, one.cells) for one in left] == [(5000, cells)]


def test_many_laws_win_over_a_few_of_more_images(table) -> None:
    """A frontier measured again does not take the place of the study that found it."""
    usual = [row for bits in range(2, 9) for row in table(w_bits=bits, samples=2000)]
    again = [*table(**FULL, samples=5000), *table(samples=5000)]
    assert kept([*usual, *table(**FULL, samples=2000), *again]) == {5000}
    asymmetric = table(scheme="W4A16,asym", samples=2000)
    assert kept([*usual, *asymmetric, *table(**FULL, samples=2000), *again]) == {2000}


def test_protocols_and_series_choose_apart(table) -> None:
    rows = [*table(samples=100, protocol="a"), *table(samples=200, protocol="b")]
    rows += [*table(samples=300, series="other"), *table(metric="nll")]
    assert alike(rows) == (rows, [])


@pytest.mark.parametrize("metric", ["fid", "nll"])
def test_caveat_names_metric_samples_and_cells(table, metric: str) -> None:
    rows = [*table(**FULL, metric=metric, samples=2000), *table(metric=metric, samples=2000)]
    found = study([*rows, *table(metric=metric, sizes=SIZES[:2], samples=5000)])
    [said] = [text for text in found.caveats if "is left out" in text]
    assert "2 cells over n = 5,000 is left out beside n = 2,000" in said
    assert {"fid": "FID", "nll": "NLL"}[metric] in said
    assert {one.protocol for one in found.settings} == {"n = 2000"}
