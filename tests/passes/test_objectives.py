"""Objectives: what a batch loses is the mean of what its samples lose."""

import pytest
import torch

from bitscape.models import FAMILIES
from bitscape.passes.objectives import Answer, Imitation, relative_error
from bitscape.structure import Call, Lesson, constant_step


def test_the_error_of_a_batch_is_the_mean_of_its_parts() -> None:
    torch.manual_seed(0)
    scale = torch.logspace(-2, 2, 6).view(6, 1, 1)
    target, y = scale * torch.randn(6, 5, 3), scale * torch.randn(6, 5, 3)
    parts = [relative_error(a, b) for a, b in zip(y.split(2), target.split(2), strict=True)]
    whole = relative_error(y, target)
    assert float(whole) == pytest.approx(float(torch.stack(parts).mean()), rel=1e-6)
    errors = [float((a - b).norm() / b.norm()) ** 2 for a, b in zip(y, target, strict=True)]
    assert float(whole) == pytest.approx(sum(errors) / 6, rel=1e-5)


def test_a_sample_of_nothing_but_zeros_gives_a_number() -> None:
    assert relative_error(torch.zeros(2, 3), torch.zeros(2, 3)) == 0


def test_blocks_count_by_their_weight() -> None:
    drawn = torch.Generator().manual_seed(0)
    ours, theirs = (
        Answer(
            torch.randn(2, 4, generator=drawn),
            {name: [torch.randn(2, 3, generator=drawn)] for name in ("a", "b")},
        )
        for _ in range(2)
    )
    pipeline = FAMILIES["dit"].tiny()
    lesson = Lesson.of_call(Call("", constant_step(0), ()), torch.empty(0))
    apart = sum(float(relative_error(ours.inside[n][0], theirs.inside[n][0])) for n in ("a", "b"))
    for weight in (0.25, 2.0):
        found = Imitation(blocks=weight)(pipeline, lesson, ours, theirs)
        assert float(found["distance"]) == pytest.approx(
            float(relative_error(ours.output, theirs.output))
        )
        assert float(found["loss"] - found["distance"]) == pytest.approx(weight * apart / 2)
    assert Imitation(blocks=0.0).inside(pipeline) == ()
    assert list(Imitation().inside(pipeline)) == ["blocks.0", "blocks.1"]
