"""Lessons of real images: kept encoded for other runs, and the same from there."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from bitscape.evaluation import Draw
from bitscape.models import FAMILIES
from bitscape.passes.answers import answer
from bitscape.passes.lessons import ImageLessons
from bitscape.structure import Lesson, Pipeline, ReadsPrompts
from bitscape.training import Ranks


def images(pipeline: Pipeline, drawn: list[range]) -> Draw:
    """A draw of noise images of the pipeline's size, which notes what it was asked for."""
    side = pipeline.sample([0], seed=0).shape[1]

    def draw(part: range) -> tuple[Tensor, Tensor]:
        drawn.append(part)
        rows = [torch.rand(3, side, side, generator=torch.Generator().manual_seed(i)) for i in part]
        labels = [i % max(1, pipeline.adapter.num_classes) for i in part]
        return 2 * torch.stack(rows) - 1, torch.tensor(labels)

    return draw


def tensors(pipeline: Pipeline, lesson: Lesson) -> list[Tensor]:
    """What the network answers in a lesson, and what it should have."""
    with torch.no_grad():
        return [answer(pipeline, lesson, ()).output, lesson.target]


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_second_run_reads_the_same_lessons_without_encoding(family: str, tmp_path: Path) -> None:
    pipeline, drawn = FAMILIES[family].tiny(), []
    if isinstance(pipeline.tokenizer, ReadsPrompts):
        pytest.skip("images come without prompts")
    draw = images(pipeline, drawn)
    plain = ImageLessons(draw, pipeline, 4, 1, Ranks())
    first = ImageLessons(draw, pipeline, 4, 1, Ranks(), tmp_path)
    second = ImageLessons(draw, pipeline, 4, 1, Ranks(), tmp_path)
    wanted, made = plain(3), first(3)
    drawn.clear()
    kept = second(3)
    assert drawn == [range(8)]  # only what tells one data set from another
    for a, b, c in zip(wanted, made, kept, strict=True):
        for x, y, z in zip(*(tensors(pipeline, lesson) for lesson in (a, b, c)), strict=True):
            assert torch.equal(x, y)
            assert torch.equal(x, z)


def test_another_tokenizer_has_its_own_folder(tmp_path: Path) -> None:
    pipeline, other = FAMILIES["var"].tiny(), FAMILIES["var"].tiny()
    for parameter in other.tokenizer.parameters():
        parameter.data.mul_(1.5)
    draw = images(pipeline, [])
    for each in (pipeline, other):
        ImageLessons(draw, each, 2, 0, Ranks(), tmp_path)(0)
    assert len(list(tmp_path.iterdir())) == 2
