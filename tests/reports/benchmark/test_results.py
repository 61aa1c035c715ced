import numpy as np
import pytest

from bitscape.reports.benchmark.results import Mean, Result, best, failures, paired, results


def test_the_error_holds_the_scatter_of_seeds_and_the_noise_of_images(record) -> None:
    rises = [0.1, 0.2, 0.4]
    (found,) = results(record("gptq-w4a16", r, seed=i, error=0.03) for i, r in enumerate(rises))
    rise = found.rise()
    assert rise.mean == pytest.approx(np.mean(rises)) and rise.seeds == 3
    assert rise.error == pytest.approx(np.hypot(np.std(rises, ddof=1) / 3**0.5, 0.03))


def test_one_seed_has_the_noise_of_images_alone(record) -> None:
    (found,) = results([record("gptq-w4a16", 0.1, error=0.03)])
    assert (found.rise().mean, found.rise().error) == pytest.approx((0.1, 0.03))


def test_squared_errors_rise_by_percent_of_full_precision(record) -> None:
    (found,) = results([record("gptq-w4a16", 0.5, loss="denoising_loss", error=0.02)])
    assert (found.rise().mean, found.rise().error) == pytest.approx((25.0, 1.0))


def test_losses_come_from_the_most_frequent_number_of_images(record) -> None:
    few = [record("gptq-w4a16", 0.1, seed=i) for i in range(3)]
    many = record("gptq-w4a16", 0.3, n=2000, losses=1000, distance=70.0)
    (found,) = results([many, *few])
    assert list(found.losses) == [0, 1, 2]
    assert found.rise().mean == pytest.approx(0.1)
    assert found.distances == {0: many}


def test_seeds_are_pooled_over_grids_of_different_sample_counts(record) -> None:
    many = record("gptq-w4a16", 0.1, seed=0, n=2000)
    few = [record("gptq-w4a16", 0.1 * seed, seed=seed, n=16) for seed in (2, 3)]
    again = record("gptq-w4a16", 0.1, seed=0, n=16)
    for records in ([many, *few], [again, *few, many]):
        (found,) = results(records)
        assert list(found.losses) == [0, 2, 3]
        assert found.losses[0] is many and found.distances == {0: many}


def test_agreement_is_a_mean_over_seeds_and_absent_without_tokens(record) -> None:
    pairs = [(0.5, 0.2), (0.7, 0.4)]
    (found,) = results(record("rtn-w4a16", 0.1, seed=i, agreement=p) for i, p in enumerate(pairs))
    agreement = found.agreement()
    assert agreement is not None
    assert [mean.value for mean in agreement] == pytest.approx([0.6, 0.3])
    assert [mean.error for mean in agreement] == pytest.approx([0.1, 0.1])
    (without,) = results([record("rtn-w4a16", 0.1, loss="denoising_loss")])
    assert without.agreement() is None


def test_distances_of_few_images_are_left_out(record) -> None:
    (found,) = results([record("gptq-w4a16", 0.1, n=250)])
    assert found.distance() is None


def test_distances_of_several_seeds_have_the_scatter_of_their_mean(record) -> None:
    runs = [
        record("rtn-w4a16", 0.1, seed=i, n=2000, distance=d) for i, d in enumerate((80, 83, 86))
    ]
    (found,) = results(runs)
    distance = found.distance()
    assert distance is not None and distance.value == pytest.approx(83.0)
    assert distance.error == pytest.approx(3 / 3**0.5)
    (one,) = results(runs[:1])
    assert one.distance() == Mean(80.0, None)


def test_failed_runs_have_no_result_and_are_told_with_their_seeds(record) -> None:
    failed = [
        record("gptq-w4a16", 0.1, seed=seed).model_copy(
            update={"status": "failed", "reason": reason}
        )
        for seed, reason in ((0, "x"), (2, "x"), (1, "y"))
    ]
    assert results(failed) == []
    told = ("zoo:var-s", "gptq-w4a16")
    assert failures(failed) == {(*told, "x"): [0, 2], (*told, "y"): [1]}


def test_seeds_decide_only_when_there_are_three(record) -> None:
    a, b = results(
        record(name, rise + 0.01 * seed, seed=seed)
        for name, rise in (("gptq-w4a16", 0.1), ("rtn-w4a16", 0.3))
        for seed in range(2)
    )
    assert paired(a.gaps(), b.gaps()) is None
    assert best([a, b], Result.gaps) == [a]


def test_within_two_errors_of_the_best_is_as_good(record) -> None:
    rises = {"gptq": (0.1, 0.2, 0.3), "awq": (0.1, 0.21, 0.31), "rtn": (0.5, 0.6, 0.7)}
    found = results(
        record(f"{name}-w4a16", rise, seed=seed)
        for name, values in rises.items()
        for seed, rise in enumerate(values)
    )
    gap = paired(found[1].gaps(), found[0].gaps())
    assert gap is not None
    # Paired by seed the difference is far smaller than the scatter of either.
    assert gap == pytest.approx((0.02 / 3, 0.01 / 3))
    assert best(found, Result.gaps) == found[:2]


def test_small_models_come_first_family_by_family(record) -> None:
    sizes = {"zoo:dit-l": 3, "zoo:mar-m": 2, "zoo:dit-s": 1}
    found = results(
        record("rtn-w4a16", 0.1, model=model).model_copy(
            update={"parameters": parameters, "family": model[4:7]}
        )
        for model, parameters in sizes.items()
    )
    assert [result.model for result in found] == ["zoo:dit-s", "zoo:dit-l", "zoo:mar-m"]
