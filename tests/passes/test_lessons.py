"""Lessons: of real images kept encoded for other runs, and of recorded calls."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bitscape.calibration import CalibrationSet, record
from bitscape.evaluation import Draw
from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.passes import Context, JoinSteps
from bitscape.passes.answers import answer
from bitscape.passes.lessons import ImageLessons, RecordedLessons
from bitscape.structure import Call, Lesson, Pipeline, ReadsPrompts, constant_step
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


def numbered(count: int, seed: int) -> RecordedLessons:
    """Lessons of calls of one image that each read their own number."""
    calls = tuple(Call("", constant_step(0), (torch.tensor([i]),)) for i in range(count))
    kept = CalibrationSet(calls, {"batch": 1})
    return RecordedLessons(kept, 1, seed, Ranks(), torch.device("cpu"))


def test_an_epoch_reads_every_call_once_in_an_order_of_its_seed() -> None:
    def epoch(seed: int, number: int) -> list[int]:
        lessons = numbered(12, seed)
        steps = range(12 * number, 12 * (number + 1))
        return [int(arg) for step in steps for arg in calls_of(lessons, step)]

    orders = [epoch(seed, number) for seed in (0, 1) for number in (0, 1)]
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert len(set(map(tuple, orders))) == 4
    assert epoch(1, 1) == orders[3]


def test_seeds_read_images_that_lie_far_apart() -> None:
    pipeline, drawn = FAMILIES["var"].tiny(), []
    draw = images(pipeline, drawn)
    for seed in (0, 1):
        lessons = ImageLessons(draw, pipeline, 2, seed, Ranks())
        drawn.clear()
        lessons(0), lessons(3)
        begin = 2**26 * seed
        assert drawn == [range(begin, begin + 2), range(begin + 6, begin + 8)]


@pytest.mark.parametrize(("share", "labels"), [(0.0, [0, 1]), (1.0, [10, 10])])
def test_labels_are_dropped_at_the_share_of_the_family(
    share: float, labels: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = FAMILIES["var"].tiny()
    adapter, read = pipeline.adapter, []
    assert adapter.num_classes == 10
    monkeypatch.setattr(adapter, "config", replace(adapter.config, label_dropout=share))
    make = adapter.lesson
    monkeypatch.setattr(
        adapter,
        "lesson",
        lambda latents, given, noise: read.append(given) or make(latents, given, noise),
    )
    ImageLessons(images(pipeline, []), pipeline, 2, 0, Ranks())(0)
    assert [each.tolist() for each in read] == [labels]
