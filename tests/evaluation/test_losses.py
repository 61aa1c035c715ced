import math

import pytest
import torch

from bitscape.evaluation import estimate, paired, teacher_forced_losses


def test_losses_do_not_depend_on_the_batch(family, protocol) -> None:
    whole = teacher_forced_losses(family(), protocol.draw, 10, batch=10)
    parts = teacher_forced_losses(family(), protocol.draw, 10, batch=3)
    assert torch.allclose(whole, parts, atol=1e-6)


def test_each_seed_draws_noise_of_its_own(continuous, protocol) -> None:
    first, second = (
        teacher_forced_losses(continuous(), protocol.draw, 10, seed=seed) for seed in (0, 1)
    )
    assert bool((first != second).all())
    assert torch.equal(first, teacher_forced_losses(continuous(), protocol.draw, 10, seed=0))


def test_a_model_paired_with_itself_differs_by_nothing(family, protocol) -> None:
    a = teacher_forced_losses(family(), protocol.draw, 10)
    b = teacher_forced_losses(family(), protocol.draw, 10)
    assert paired(a, b) == (0.0, 0.0)


def test_pairing_removes_what_the_images_share(family, protocol) -> None:
    a = teacher_forced_losses(family(0.05), protocol.draw, 100)
    b = teacher_forced_losses(family(), protocol.draw, 100)
    unpaired = math.hypot(estimate(a).standard_error, estimate(b).standard_error)
    assert paired(a, b).standard_error < unpaired / 3
    assert paired(a, b).mean == pytest.approx(estimate(a).mean - estimate(b).mean)


def test_the_clock_is_left_unset(family, protocol) -> None:
    pipeline = family()
    teacher_forced_losses(pipeline, protocol.draw, 4)
    with pytest.raises(RuntimeError, match="not set"):
        pipeline.clocks[""].read()


def test_the_standard_error_is_that_of_independent_values() -> None:
    found = estimate(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert found.mean == 2.5
    assert found.standard_error == pytest.approx(math.sqrt(5 / 3 / 4))


def test_losses_of_different_counts_do_not_pair_up() -> None:
    with pytest.raises(ValueError, match="3 and 4 losses"):
        paired(torch.zeros(3), torch.zeros(4))


def test_a_broken_model_is_named(family, protocol) -> None:
    pipeline = family()
    next(pipeline.network.parameters()).data.fill_(torch.nan)
    with pytest.raises(ValueError, match=rf"{pipeline.name[:6]}.* on image 0 is nan"):
        teacher_forced_losses(pipeline, protocol.draw, 4)


def test_encoded_images_are_kept_for_the_next_model(family, protocol, tmp_path) -> None:
    once = teacher_forced_losses(family(), protocol.draw, 10, batch=4, keep=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3

    def gone(part: range):
        raise AssertionError(f"{part} was drawn again")

    again = teacher_forced_losses(family(), gone, 10, batch=4, keep=tmp_path)
    assert torch.equal(once, again)
    assert torch.equal(once, teacher_forced_losses(family(), protocol.draw, 10, batch=4))
