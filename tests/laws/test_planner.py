"""What to deploy: the answer keeps its budget, and says how far it reaches."""

import pytest

from bitscape.laws import Axis, Budget, Study, Timing, plan, study
from bitscape.laws.words import size

Studies = dict[Axis, Study]


def memory(gigabytes: float) -> Budget:
    return Budget(kind="memory", limit=gigabytes * 1e9)


def test_published_answer_for_1_5_gigabytes(studies: Studies) -> None:
    answer = plan(studies["model-bits"], memory(1.5))[0]
    best = answer.best
    assert (answer.family, best.model, best.method, best.scheme) == (
        "var",
        "var-d30",
        "topkld",
        "W4A16",
    )
    assert best.measured == 2.12 and best.quality_ci[0] < 2.12 < best.quality_ci[1]
    assert not best.extrapolated and best.times_beyond == 1
    assert answer.runner_up.quality >= best.quality


def test_no_answer_breaks_the_budget(studies: Studies) -> None:
    for gigabytes in (0.2, 0.5, 1.0, 2.0, 8.0):
        for answer in plan(studies["model-bits"], memory(gigabytes)):
            for one in (answer.best, answer.runner_up):
                assert one is None or one.memory_bytes <= gigabytes * 1e9


def test_more_memory_never_predicts_less(studies: Studies) -> None:
    found = [plan(studies["model-bits"], memory(size))[0].best for size in (0.2, 0.4, 0.8, 1.6)]
    qualities = [one.quality for one in found]
    assert qualities == sorted(qualities, reverse=True)


def test_compute_budget(studies: Studies) -> None:
    best = plan(studies["compute-bits"], Budget(kind="compute-bits", limit=64))[0].best
    assert (best.method, best.scheme, best.model) == ("topkld", "W4A8", "var-d30")
    assert best.compute_bits == best.cost == pytest.approx(64)


def test_quality_asks_for_the_cheapest(studies: Studies) -> None:
    answer = plan(studies["model-bits"], memory(8), quality=2.6)[0]
    assert (answer.best.model, answer.best.scheme) == ("var-d24", "W4A16")
    assert answer.best.quality <= 2.6 and answer.best.cost <= answer.runner_up.cost
    nothing = plan(studies["model-bits"], memory(8), quality=1.0)[0]
    assert nothing.best is None and "nothing that fits reaches 1" in nothing.reason


def test_nothing_fits(studies: Studies) -> None:
    answer = plan(studies["model-bits"], memory(1e-3))[0]
    # 310 million weights of 3 bits.
    assert answer.best is None
    assert answer.reason == "nothing fits: var-d16 W3A16 takes 116 MB"


def test_what_does_not_fit_is_told_in_the_unit_of_its_budget(studies: Studies) -> None:
    found = studies["compute-bits"]
    reason = plan(found, Budget(kind="compute-bits", limit=1))[0].reason
    assert reason.startswith("nothing fits: var-d16 W4A8 takes 9.92e9 compute bits")
    profile = [Timing("var-d16", "W4A8", 310e6, 10.0)]
    reason = plan(found, Budget(kind="latency", limit=1), profile=profile)[0].reason
    assert reason == "nothing fits: var-d16 W4A8 takes 10 ms"


@pytest.mark.parametrize("quality", [-2.0, 0.0, float("nan"), float("inf")])
def test_a_quality_to_reach_is_positive(studies: Studies, quality: float) -> None:
    with pytest.raises(ValueError, match=f"quality {quality:g} to reach: give a positive"):
        plan(studies["model-bits"], memory(1), quality=quality)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.6, "1 kB"),
        (850_000, "850 kB"),
        (999_499, "999 kB"),
        (999_900, "1 MB"),
        (999_999_999, "1 GB"),
        (1.234e12, "1.23 TB"),
    ],
)
def test_sizes_are_written_in_the_unit_that_they_round_to(count: float, text: str) -> None:
    assert size(count) == text


def test_extrapolated_candidates_are_the_last_resort(table) -> None:
    rows = [
        *table(method="a", a=4),
        *table(method="b", a=3, sizes=(1e8, 2e8, 4e8, 5e8)),
    ]
    answer = plan(study(rows), memory(2))[0]
    assert (answer.best.method, answer.best.extrapolated) == ("a", False)
    tempting = answer.tempting
    assert (tempting.method, tempting.model, tempting.measured) == ("b", "var-3e+09", None)
    assert tempting.extrapolated and tempting.times_beyond == pytest.approx(6)


def test_latency_follows_the_profile(studies: Studies) -> None:
    profile = [Timing("var-d16", "W4A16", 310e6, 10.0), Timing("var-d16", "W16A16", 310e6, 20.0)]
    budget = Budget(kind="latency", limit=40.0)
    answer = plan(studies["model-bits"], budget, profile=profile)[0]
    assert (answer.best.model, answer.best.scheme) == ("var-d24", "W4A16")
    assert answer.best.cost == pytest.approx(10 * 1000 / 310)
    assert answer.best.time_beyond == pytest.approx(1000 / 310)
    with pytest.raises(ValueError, match="needs a device profile"):
        plan(studies["model-bits"], budget)
    other = [Timing("var-d16", "W1A1", 310e6, 1.0)]
    other_answer = plan(studies["model-bits"], budget, profile=other)[0]
    assert other_answer.best is None and "times none of its schemes" in other_answer.reason


def test_memory_is_what_the_records_counted(table) -> None:
    """Real bytes are 1.5 times the nominal ones here: what fits nominally may not fit."""
    nominal = study(table())
    actual = study([row._replace(actual_bits=1.5 * row.model_bits) for row in table()])
    budget = memory(0.6)
    plain, counted = plan(nominal, budget)[0].best, plan(actual, budget)[0].best
    assert (plain.model, plain.accounting) == ("var-1e+09", "nominal")
    assert plain.memory_bytes == pytest.approx(4e9 / 8)
    assert (counted.model, counted.accounting) == ("var-3e+08", "actual")
    assert counted.memory_bytes == pytest.approx(1.5 * 4 * 3e8 / 8)
    assert counted.quality == pytest.approx(4 * (4 * 0.3) ** -0.3)


WRITTEN = {1e8: 1.1, 2e8: 1.3, 4e8: 1.7, 8e8: 2.5}
"""Bits written for each nominal one, by the size of the model."""


def test_costs_are_those_of_the_size_itself(table) -> None:
    """Each size has a ratio of its own of written to nominal bits, and of compute bits to them."""
    rows = [
        row._replace(
            actual_bits=WRITTEN[row.parameters] * row.model_bits,
            compute_bits=WRITTEN[row.parameters] ** 2 * row.compute_bits,
        )
        for row in table(sizes=tuple(WRITTEN))
    ]
    for parameters, ratio in WRITTEN.items():
        stored = ratio * 4 * parameters / 8
        best = plan(study(rows), memory(stored * 1.01 / 1e9))[0].best
        assert best.parameters == parameters
        assert best.memory_bytes == best.cost == pytest.approx(stored)
        assert best.compute_bits == pytest.approx(ratio**2 * 4 * 16 * parameters / 1e9)


def test_costs_of_a_size_nobody_measured_follow_the_nearest_in_proportion(table) -> None:
    """2.9e8 is nearer to 4e8 as a ratio, and to 2e8 as a difference: ratios count."""
    ratios = WRITTEN | {2.9e8: 9.0}
    rows = [
        row._replace(actual_bits=ratios[row.parameters] * row.model_bits)
        for row in (
            *table(method="a", a=8, sizes=tuple(ratios)),
            *table(method="b", a=2, sizes=tuple(WRITTEN)),
        )
    ]
    stored = WRITTEN[4e8] * 4 * 2.9e8 / 8
    best = plan(study(rows), memory(stored * 1.01 / 1e9))[0].best
    assert (best.method, best.parameters, best.measured) == ("b", 290_000_000, None)
    assert best.memory_bytes == pytest.approx(stored)
    assert not best.extrapolated and best.quality == pytest.approx(2 * (4 * 0.29) ** -0.3)


def test_a_budget_is_positive(studies: Studies) -> None:
    with pytest.raises(ValueError, match="budget of 0"):
        plan(studies["model-bits"], memory(0))
