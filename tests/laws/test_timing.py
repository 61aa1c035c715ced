"""Times are carried within a family, a little way, and marked."""

import json
from pathlib import Path

import pytest

from bitscape.laws import Budget, Timing, latency, plan, read_profile, study
from bitscape.laws.timing import family_of, times_beyond

BUDGET = Budget(kind="latency", limit=1000.0)


def two_families(table):
    other = table(family="dit", series="dit")
    return [*table(), *(row._replace(model=f"dit-{row.parameters}") for row in other)]


def test_latency_between_two_sizes() -> None:
    points = [(4e8, 40.0), (1e8, 10.0)]
    assert latency(points, 2e8) == pytest.approx(20)
    assert latency(points, 5e7) == pytest.approx(5)
    assert latency(points, 8e8) == pytest.approx(80)


def test_times_beyond_the_sizes_timed() -> None:
    points = [(4e8, 40.0), (1e8, 10.0)]
    assert [times_beyond(points, size) for size in (1e8, 2e8, 4e8)] == [1, 1, 1]
    assert times_beyond(points, 5e7) == times_beyond(points, 8e8) == pytest.approx(2)


def test_family_is_that_of_the_study_or_of_the_name(table) -> None:
    found = study(two_families(table))
    names = ("var-1e+08", "zoo:var-xl", "zoo:dit-s", "dit", "largedit-s", "variant")
    assert [family_of(name, found) for name in names] == ["var", "var", "dit", "dit", None, None]


def test_a_profile_times_its_own_family_only(table) -> None:
    profile = [Timing("zoo:var-s", "W4A16", 1e9, 10.0)]
    var, dit = plan(study(two_families(table)), BUDGET, profile=profile)
    assert var.best is not None and var.best.cost == pytest.approx(10 * 3)
    assert dit.best is None
    assert dit.reason == "the profile times zoo:var-s, which is not of dit: bench a model of dit"


def test_time_extrapolated_is_marked_and_bounded(table) -> None:
    found = study(table())
    small = [Timing("zoo:var-s", "W4A16", 1e8, 1.0)]
    answer = plan(found, BUDGET, profile=small)[0]
    # The sizes are 1e8 to 3e9: those above ten times the timed one are not offered.
    assert answer.best.model == "var-1e+09" and not answer.best.extrapolated
    assert answer.best.time_beyond == pytest.approx(10)
    both = [*small, Timing("zoo:var-l", "W4A16", 3e9, 30.0)]
    assert plan(found, BUDGET, profile=both)[0].best.time_beyond == 1
    tiny = [Timing("zoo:var-xs", "W4A16", 1e6, 0.1)]
    assert "no size within 10 times" in plan(found, BUDGET, profile=tiny)[0].reason


def test_of_a_profile_the_smallest_batch_of_each_file_counts(tmp_path: Path) -> None:
    rows = [
        {"scheme": scheme, "batch": batch, "latency_ms": {"median": median}}
        for scheme, batch, median in (("W4A16", 4, 20.0), ("W8A8", 4, 12.0), ("W4A16", 8, 8.0))
    ]
    bench = tmp_path / "bench.json"
    bench.write_text(json.dumps({"model": "var-4", "parameters": 4e8, "rows": rows}))
    assert read_profile([bench]) == [
        Timing("var-4", "W4A16", 4e8, 5.0),
        Timing("var-4", "W8A8", 4e8, 3.0),
    ]
    with pytest.raises(FileNotFoundError, match="`bitscape bench --out` writes it"):
        read_profile([tmp_path / "none.json"])


@pytest.mark.parametrize(
    ("content", "message"),
    [("{}", "is no profile"), ('{"model": "a", "parameters": null, "rows": [1]}', "is no profile")],
)
def test_what_is_no_profile_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_profile([tmp_path / "bench.json"])
