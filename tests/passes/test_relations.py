"""Relation distillation: steps joined, both of them learnt from."""

import copy

import pytest
import torch

from bitscape.calibration import CalibrationSet, record
from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.passes import Answer, Context, Imitation, JoinSteps, Relations
from bitscape.passes.answers import answer
from bitscape.passes.objectives import influences
from bitscape.passes.relations import smoothed, steps_joined
from bitscape.structure import Call, Lesson, Pipeline, invoke


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return FAMILIES["dit"].tiny()


@pytest.fixture(scope="module")
def data(pipeline: Pipeline) -> CalibrationSet:
    return record(pipeline, range(4), seed=5, batch=2, steps=3)


def joined(pipeline: Pipeline, data: CalibrationSet, window: int) -> CalibrationSet:
    context = Context(parse_scheme("W4A4"), data)
    JoinSteps(window)(pipeline, context)
    assert context.calibration is not None
    return context.calibration


@torch.no_grad()
def test_a_joined_call_answers_as_its_steps_do(pipeline: Pipeline, data: CalibrationSet) -> None:
    pair = joined(pipeline, data, 2).calls[0]
    separate = [invoke(pipeline.network, pipeline.clocks, call) for call in data.calls[:2]]
    found = invoke(pipeline.network, pipeline.clocks, pair)
    torch.testing.assert_close(found, torch.cat(separate))


def test_steps_of_one_trajectory_are_joined_and_the_rest_is_kept(
    pipeline: Pipeline, data: CalibrationSet
) -> None:
    # Two trajectories of three steps each.
    found = joined(pipeline, data, 2)
    guided = len(data.calls[0].args[0])
    sizes = [len(call.args[0]) for call in found.calls]
    assert sizes == [2 * guided, guided, 2 * guided, guided]
    assert found.provenance["batch"] == 2 * data.provenance["batch"]
    assert len(joined(pipeline, data, 1).calls) == len(data.calls)


def test_images_without_neighbours_in_time_are_not_smoothed() -> None:
    def lesson(step: list[list[int]]) -> Lesson:
        call = Call("", torch.tensor(step), ())
        return Lesson.of_call(call, torch.empty(0))

    assert steps_joined(lesson([[7], [7], [3], [3]])) == 2
    assert steps_joined(lesson([[7], [3], [9], [4]])) == 1
    assert steps_joined(lesson([[7]])) == 1
    assert steps_joined(lesson([[0, 1, 2]])) == 1
    features = torch.arange(4.0).view(4, 1, 1)
    assert smoothed(features, 2).flatten().tolist() == [1.0, 2.0]


def test_relations_have_a_gradient_at_both_steps(pipeline: Pipeline, data: CalibrationSet) -> None:
    student = copy.deepcopy(pipeline)
    with torch.no_grad():
        for parameter in student.network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    lesson = Lesson.of_call(joined(pipeline, data, 2).calls[0], torch.empty(0))
    objective = Relations(temperature=0.5)
    names = objective.inside(pipeline)
    ours, theirs = answer(student, lesson, names), answer(pipeline, lesson, names)
    for features in ours.inside.values():
        features[0].retain_grad()
    losses = objective(pipeline, lesson, ours, theirs)
    assert float(losses["relations"]) > 0
    (losses["loss"] - losses["distance"]).backward()
    for features in ours.inside.values():
        assert features[0].grad is not None
        assert all(bool(half.any()) for half in features[0].grad.chunk(2))
    same = objective(pipeline, lesson, theirs, theirs)
    assert float(same["loss"].detach()) == pytest.approx(0, abs=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("objective", [Relations, Imitation])
def test_weighed_errors_are_those_of_each_step_by_its_influence(
    pipeline: Pipeline, data: CalibrationSet, objective: type[Relations | Imitation]
) -> None:
    separate = data.calls[:2]
    pair = joined(pipeline, data, 2).calls[0]

    def distance(call: Call, weigh: bool) -> float:
        lesson = Lesson.of_call(call, torch.empty(0))
        full = answer(pipeline, lesson, [])
        ours = Answer(1.1 * full.output, {})
        return float(objective(weigh=weigh)(pipeline, lesson, ours, full)["loss"])

    weights = pipeline.adapter.influence(
        torch.stack([call.step[0] for call in separate]), pipeline.sampler.get("steps")
    )
    apart = [distance(call, weigh=False) for call in separate]
    expected = sum(float(w) * each for w, each in zip(weights, apart, strict=True)) / 2
    assert distance(pair, weigh=True) == pytest.approx(expected, rel=1e-4)
    assert len(set(weights.tolist())) == 2


@torch.no_grad()
def test_unsmoothed_relations_are_those_of_each_sample(
    pipeline: Pipeline, data: CalibrationSet
) -> None:
    student = copy.deepcopy(pipeline)
    for parameter in student.network.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))

    def relations(call: Call, *, smooth: bool) -> float:
        lesson = Lesson.of_call(call, torch.empty(0))
        objective = Relations(smooth=smooth)
        names = objective.inside(pipeline)
        answers = answer(student, lesson, names), answer(pipeline, lesson, names)
        return float(objective(pipeline, lesson, *answers)["relations"])

    pair = joined(pipeline, data, 2).calls[0]
    apart = [relations(call, smooth=True) for call in data.calls[:2]]
    assert relations(pair, smooth=False) == pytest.approx(sum(apart) / 2, rel=1e-4)
    assert relations(pair, smooth=True) != pytest.approx(sum(apart) / 2, rel=1e-2)


def test_families_with_logits_are_compared_by_the_divergence_of_theirs() -> None:
    var = FAMILIES["var"].tiny()
    student = copy.deepcopy(var)
    with torch.no_grad():
        for parameter in student.network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    lesson = Lesson.of_call(record(var, [0, 1], seed=5).calls[0], torch.empty(0))
    with torch.no_grad():
        answers = answer(student, lesson, []), answer(var, lesson, [])
    ours = Relations()(var, lesson, *answers)
    theirs = Imitation(blocks=0.0)(var, lesson, *answers)
    assert float(theirs["loss"]) > 0
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_families_without_a_noise_schedule_weigh_all_alike() -> None:
    var = FAMILIES["var"].tiny()
    lesson = Lesson.of_call(record(var, [0, 1], seed=5).calls[0], torch.empty(0))
    assert influences(var, lesson) is None


def test_a_lesson_of_another_network_has_no_relations_and_names_them_all_the_same(
    pipeline: Pipeline, data: CalibrationSet
) -> None:
    lesson = Lesson.of_call(data.calls[0], torch.empty(0))
    block = Relations().inside(pipeline)[0]
    full = answer(pipeline, lesson, [])
    ours = Answer(full.output * 1.1, {block: []})
    losses = Relations()(pipeline, lesson, ours, Answer(full.output, {block: []}))
    assert losses["relations"] == 0
    assert losses["loss"] == losses["distance"]
    assert losses.keys() == {"loss", "distance", "relations"}


def test_relations_refuse_a_temperature_of_nothing() -> None:
    with pytest.raises(ValueError, match="temperature above 0"):
        Relations(temperature=0.0)
    with pytest.raises(ValueError, match="window of 0"):
        JoinSteps(0)
