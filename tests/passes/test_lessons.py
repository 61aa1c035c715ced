"""Lessons: of real images kept encoded for other runs, and of recorded calls."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from bitscape.calibration import record
from bitscape.evaluation import Draw
from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.passes import Context, JoinSteps
from bitscape.passes.answers import answer
from bitscape.passes.lessons import ImageLessons, RecordedLessons
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


def calls_of(lessons: RecordedLessons, step: int) -> list[Tensor]:
    """What the calls of a step read."""
    first = [next(lesson.start()) for lesson in lessons(step)]
    return [arg for call in first for arg in call.args if isinstance(arg, Tensor)]


def test_processes_share_the_recorded_calls_of_one() -> None:
    pipeline = FAMILIES["dit"].tiny()
    calls = record(pipeline, [0, 1, 2, 3, 4, 5, 6, 7], seed=7, batch=2, keep=3)

    def lessons(ranks: Ranks) -> RecordedLessons:
        return RecordedLessons(calls, 8, 0, ranks, pipeline.device)

    alone, parts = lessons(Ranks()), [lessons(Ranks(rank, 2)) for rank in (0, 1)]
    assert [len(each(0)) for each in (alone, *parts)] == [4, 2, 2]
    for step in (0, 1, 5):
        together = [arg for part in parts for arg in calls_of(part, step)]
        assert all(map(torch.equal, together, calls_of(alone, step)))


@pytest.mark.parametrize(("batch", "count", "least"), [(3, 1, 2), (1, 1, 2), (6, 2, 4)])
def test_a_batch_that_no_whole_calls_make_up_is_refused(batch: int, count: int, least: int) -> None:
    pipeline = FAMILIES["dit"].tiny()
    calls = record(pipeline, [0, 1, 2, 3], seed=7, batch=2, keep=3)
    with pytest.raises(ValueError, match=f"a step of {batch} images .* a multiple of {least}"):
        RecordedLessons(calls, batch, 0, Ranks(0, count), pipeline.device)


def test_an_image_at_two_steps_is_one_image() -> None:
    pipeline = FAMILIES["dit"].tiny()
    calls = record(pipeline, [0, 1, 2, 3], seed=7, batch=2, keep=4)
    context = Context(parse_scheme("W4A8"), calls)
    JoinSteps(2)(pipeline, context)
    assert context.calibration is not None
    [lesson] = RecordedLessons(context.calibration, 2, 0, Ranks(), pipeline.device)(0)
    assert len(next(lesson.start()).step) == 4 * (2 if pipeline.sampler["guidance"] > 1 else 1)
