"""Distillation: an exact start, the same bits after a kill, objectives of one's own."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from bitscape.calibration import CalibrationSet, record
from bitscape.formats import QuantScheme, parse_scheme
from bitscape.models import FAMILIES
from bitscape.nn import QuantConv2d, QuantLinear, quantized_sites, read_first_bits
from bitscape.passes import (
    Answer,
    Context,
    Distill,
    Greedy,
    Imitation,
    Nearest,
    Nesting,
    Pass,
    QuantizeActivations,
    QuantizeWeights,
    Training,
    TrainingLoss,
    run,
)
from bitscape.passes.base import Field
from bitscape.passes.correction import Correction
from bitscape.passes.objectives import relative_error
from bitscape.passes.student import LowRank, StudentLayer, enrolled
from bitscape.structure import Lesson, Pipeline

RTN: tuple[Pass, ...] = (QuantizeWeights(Nearest("mse")), QuantizeActivations())
SHORT = Training(steps=3, batch=4, rate=1e-3)


def vivid(family: str) -> Pipeline:
    """A tiny pipeline whose weights are large enough for its outputs to differ."""
    pipeline = FAMILIES[family].tiny()
    torch.manual_seed(3)
    for parameter in pipeline.network.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=1.5 * parameter[0].numel() ** -0.5)
    return pipeline


@pytest.fixture(scope="module")
def teacher() -> Pipeline:
    """A VAR in full precision."""
    return vivid("var")


@pytest.fixture(scope="module")
def data(teacher: Pipeline) -> CalibrationSet:
    """What it sampled."""
    return record(teacher, range(8), seed=5, batch=4)


def distilled(teacher: Pipeline, step: Distill, context: Context) -> Pipeline:
    student = copy.deepcopy(teacher)
    run([step], student, context)
    return student


def images(part: range) -> tuple[Tensor, Tensor]:
    """Noise in [-1, 1] with labels, the same for the same indices."""
    rows = [torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(i)) for i in part]
    return 2 * torch.stack(rows) - 1, torch.tensor([i % 10 for i in part])


def state(pipeline: Pipeline) -> dict[str, Tensor]:
    return pipeline.network.state_dict()


def assert_same(a: Pipeline, b: Pipeline) -> None:
    ours, theirs = state(a), state(b)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    "scheme", ["W3A16", "W4A16@g8,asym", "WternaryA8", "We2m1A16", "W2A16", "W8A8,static"]
)
@pytest.mark.parametrize("rounder", [Nearest("mse"), Greedy()], ids=["rtn", "gptq"])
def test_a_student_starts_and_ends_untrained_as_what_it_stands_for(
    scheme: str, rounder: Nearest | Greedy, teacher: Pipeline, data: CalibrationSet
) -> None:
    student, unrounded = copy.deepcopy(teacher), {}
    start = [QuantizeWeights(rounder), QuantizeActivations()]
    run(start, student, Context(parse_scheme(scheme), data, unrounded=unrounded))
    before = {name: tensor.clone() for name, tensor in state(student).items()}
    sites = quantized_sites(student.network)
    with enrolled(student.network, unrounded) as students:
        assert students.keys() == sites.keys() == unrounded.keys()
        for name, layer in students.items():
            site = sites[name]
            assert isinstance(site, QuantLinear | QuantConv2d)
            assert torch.equal(layer.weight(), site.effective_weight().flatten(1))
    after = state(student)
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], before[name]) for name in after)


def test_training_brings_the_student_nearer_to_its_teacher(
    teacher: Pipeline, data: CalibrationSet
) -> None:
    context = Context(parse_scheme("W2A16"), data)
    training = Training(steps=12, batch=8, rate=8e-3, average=0.8)
    student = distilled(teacher, Distill(RTN, Imitation(), training), context)
    log = context.report["training"]["log"]
    assert log[-1]["distance"] < 0.8 * log[0]["distance"]
    layers = quantized_sites(student.network).values()
    assert all(isinstance(layer, QuantLinear) and layer.coded is not None for layer in layers)
    assert not any(p.requires_grad for p in student.network.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    "step",
    [
        Distill(RTN, Imitation(), Training(steps=6, batch=4)),
        Distill(RTN, Imitation(), Training(steps=3, batch=4), rank=2, stages=(("qkv",), ("fc1",))),
    ],
    ids=["whole", "stages"],
)
def test_a_killed_run_ends_in_the_same_bits(
    step: Distill, teacher: Pipeline, data: CalibrationSet, tmp_path: Path
) -> None:
    scheme = parse_scheme("W3A8,static")
    whole = Context(scheme, data)
    undisturbed = distilled(teacher, step, whole)
    seen: list[int] = []

    def killed(text: str, done: int, total: int) -> None:
        seen.extend([done] if text == "distilling" else [])
        # In stages: in the midst of the second.
        if len(seen) == (5 if step.stages else 4):
            raise KeyboardInterrupt

    def context(**words: Callable[[str, int, int], None]) -> Context:
        often = Context(scheme, data, workspace=tmp_path, **words)
        often.pace = type(often.pace)(save_seconds=-1)
        return often

    with pytest.raises(KeyboardInterrupt):
        distilled(teacher, step, context(progress=killed))
    last = tmp_path / "training" / ("1" if step.stages else "")
    assert (last / "state.pt").is_file()
    resumed = context()
    assert_same(distilled(teacher, step, resumed), undisturbed)
    assert resumed.report["training"] == whole.report["training"]


@dataclass(frozen=True)
class Reads:
    """A pass that notes how many calls it is given."""

    found: list[int]
    before: ClassVar[frozenset[Field]] = frozenset()
    writes: ClassVar[frozenset[Field]] = frozenset()

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        return True

    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        self.found.append(len(context.calibrated("reading").calls))


def test_a_start_of_few_samples_leaves_the_others_to_the_training(
    teacher: Pipeline, data: CalibrationSet
) -> None:
    found: list[int] = []
    context = Context(parse_scheme("W3A16"), data)
    distilled(teacher, Distill((Reads(found), *RTN), training=SHORT, start_samples=3), context)
    distilled(teacher, Distill((Reads(found), *RTN), training=SHORT), context)
    assert found == [len(data.calls) // 2, len(data.calls)]
    assert context.calibration is data


def test_bfloat16_trains_nearly_what_float32_does(teacher: Pipeline, data: CalibrationSet) -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        context = Context(parse_scheme("W3A16"), data)
        training = Training(steps=3, batch=4, rate=1e-3, precision=precision)
        student = distilled(teacher, Distill(RTN, training=training), context)
        assert all(p.dtype == torch.float32 for p in student.network.parameters())
        losses.append([record["loss"] for record in context.report["training"]["log"]])
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


@dataclass(frozen=True)
class Relations:
    """An objective of one's own: the outputs of the feed-forward layers inside."""

    reads_teacher: bool = True
    reads_target: bool = False
    watched: str = "loss"

    def inside(self, pipeline: Pipeline) -> Sequence[str]:
        return ["blocks.0.mlp.fc2", "blocks.1"]

    def __call__(
        self, pipeline: Pipeline, lesson: Lesson, student: Answer, teacher: Answer | None
    ) -> Mapping[str, Tensor]:
        assert teacher is not None
        assert not any(t.requires_grad for found in teacher.inside.values() for t in found)
        errors = [
            relative_error(student.inside[name][0], teacher.inside[name][0])
            for name in self.inside(pipeline)
        ]
        return {"loss": torch.stack(errors).sum(), "first": errors[0].detach()}


def test_an_objective_sees_the_modules_that_it_names(
    teacher: Pipeline, data: CalibrationSet
) -> None:
    context = Context(parse_scheme("W3A16"), data)
    distilled(teacher, Distill(RTN, Relations(), SHORT), context)
    first = context.report["training"]["log"][0]
    assert 0 < first["first"] < first["loss"]


@pytest.mark.parametrize("nesting", [None, Nesting((3, 2))], ids=["one", "nested"])
def test_blocks_computed_twice_give_the_same_student(
    nesting: Nesting | None, teacher: Pipeline, data: CalibrationSet
) -> None:
    plain, twice = (
        distilled(
            teacher,
            Distill(RTN, Imitation(), Training(steps=2, batch=4, recompute=recompute), nesting),
            Context(parse_scheme("W3A8,static"), data),
        )
        for recompute in (False, True)
    )
    assert_same(plain, twice)


@pytest.mark.parametrize("family", ["var", "dit", "mar"])
def test_data_teach_with_and_without_a_teacher(family: str) -> None:
    pipeline = vivid(family)
    for objective in (TrainingLoss(), Imitation(blocks=0.0)):
        context = Context(parse_scheme("W3A16"), images=images)
        distilled(pipeline, Distill(RTN, objective, SHORT), context)
        assert len(context.report["training"]["log"]) == SHORT.steps


def test_a_run_that_diverges_stops_with_step_and_layer(
    teacher: Pipeline, data: CalibrationSet
) -> None:
    step = Distill(RTN, Imitation(), Training(steps=20, batch=4, rate=0.5, warmup=0.0))
    with pytest.raises(ValueError, match=r"diverges: distance .* at step \d+, .* that of \w+"):
        distilled(teacher, step, Context(parse_scheme("W3A16"), data))


@dataclass(frozen=True)
class Watched(Imitation):
    """Notes how many steps of the trajectory each lesson holds."""

    seen: list[int] = field(default_factory=list)

    def __call__(
        self, pipeline: Pipeline, lesson: Lesson, student: Answer, teacher: Answer | None
    ) -> Mapping[str, Tensor]:
        self.seen.append(len(next(lesson.start()).step.unique()))
        return super().__call__(pipeline, lesson, student, teacher)


@pytest.mark.parametrize("mix", [True, False])
def test_recorded_lessons_hold_mixed_steps_if_wanted(mix: bool) -> None:
    pipeline = vivid("dit")
    calls = record(pipeline, range(8), seed=5, batch=4)
    watched = Watched(blocks=0.0)
    step = Distill(RTN, watched, SHORT, mix=mix)
    distilled(pipeline, step, Context(parse_scheme("W3A16"), calls))
    assert len(watched.seen) == SHORT.steps
    assert all((steps > 1) == mix for steps in watched.seen)


def test_what_cannot_be_learnt_is_refused(teacher: Pipeline, data: CalibrationSet) -> None:
    with pytest.raises(ValueError, match="give images"):
        distilled(
            teacher, Distill(RTN, TrainingLoss(), SHORT), Context(parse_scheme("W3A16"), data)
        )
    with pytest.raises(ValueError, match="one of topkld"):
        Imitation("top")
    with pytest.raises(ValueError, match="at least one step"):
        Training(steps=0)


def test_nested_widths_are_trained_together(teacher: Pipeline, data: CalibrationSet) -> None:
    context = Context(parse_scheme("W4A16"), data)
    step = Distill(RTN, Imitation(), SHORT, Nesting((4, 2), (1.0, 0.5)))
    distilled(teacher, step, context)
    first = context.report["training"]["log"][0]
    assert first["loss"] == pytest.approx(first["loss_4"] + 0.5 * first["loss_2"])
    assert first["loss_4"] < first["loss_2"]
    assert context.report["nested"].keys() == {"2", "4"}
    assert set(context.report["nested"]["4"].values()) == {1.0}
    with pytest.raises(ValueError, match="need symmetric integers of 4 bits"):
        distilled(teacher, step, Context(parse_scheme("W3A16"), data))
    with pytest.raises(ValueError, match="co-distillation compares two networks"):
        Distill(RTN, TrainingLoss(), SHORT, Nesting((4, 2), codistill=0.5))


def test_narrow_widths_learn_from_the_widest_alone_at_a_share_of_one(
    teacher: Pipeline, data: CalibrationSet
) -> None:
    """Towards itself the widest is at no distance: its own loss is all that is left of W8."""
    losses = {}
    for share in (0.0, 1.0):
        context = Context(parse_scheme("W8A16"), data)
        nesting = Nesting((8, 2), (1.0, 1.0), codistill=share)
        distilled(teacher, Distill(RTN, Imitation(), SHORT, nesting), context)
        losses[share] = context.report["training"]["log"][0]
    # Eight bits are nearly full precision, and so nearly the same teacher.
    assert losses[1.0]["loss_8"] == losses[0.0]["loss_8"]
    assert losses[1.0]["loss_2"] != losses[0.0]["loss_2"]
    assert losses[1.0]["loss_2"] == pytest.approx(losses[0.0]["loss_2"], rel=0.1)


def test_a_student_read_at_a_width_is_the_artefact_read_at_it(
    teacher: Pipeline, data: CalibrationSet
) -> None:
    student, unrounded = copy.deepcopy(teacher), {}
    context = Context(parse_scheme("W4A16"), data, unrounded=unrounded)
    run([QuantizeWeights(Nearest("mse"))], student, context)
    with enrolled(student.network, unrounded, widths=(4, 2)) as students:
        weights, gains = {}, {}
        for name, layer in students.items():
            layer.read_at(2)
            weights[name], gains[name] = layer.weight().detach(), layer.gain(2)
            # No other multiple of what is read is nearer to the weight.
            error = [(unrounded[name] - f * weights[name]).square().sum() for f in (0.99, 1, 1.01)]
            assert error[1] == min(error)
            layer.read_at(4)
            assert torch.equal(layer.weight(), StudentLayer(layer.layer, None).weight())
            layer.read_at(None)
    read_first_bits(student.network, 2, 4, gains)
    for name, layer in quantized_sites(student.network).items():
        assert isinstance(layer, QuantLinear)
        torch.testing.assert_close(layer.effective_weight(), weights[name])


def test_a_correction_is_merged_before_the_rounding(
    teacher: Pipeline, data: CalibrationSet
) -> None:
    unrounded: dict[str, Tensor] = {}
    student = copy.deepcopy(teacher)
    run(list(RTN), student, Context(parse_scheme("W3A16"), data, unrounded=unrounded))
    generator = torch.Generator().manual_seed(0)
    twin = copy.deepcopy(student)
    with (
        torch.no_grad(),
        enrolled(student.network, unrounded, LowRank(3, generator)) as low_rank,
        enrolled(twin.network, unrounded) as plain,
    ):
        for name, layer in low_rank.items():
            assert layer.correction is not None
            assert torch.equal(layer.weight(), plain[name].weight())
            layer.correction.up.normal_(std=0.1, generator=generator)
            change = layer.correction()
            assert int(torch.linalg.matrix_rank(change)) == 3
            plain[name].latent.add_(change)
            assert torch.equal(layer.weight(), plain[name].weight())
    # What is left behind are codes alone, the same in both.
    assert_same(student, twin)


def test_a_correction_has_its_rank_at_every_tap() -> None:
    correction = Correction((6, 5, 3, 2), 2, torch.Generator().manual_seed(0))
    nn.init.normal_(correction.up)
    kernel = correction().view(6, 5, 3, 2)
    for tap, (i, j) in enumerate((i, j) for i in range(3) for j in range(2)):
        torch.testing.assert_close(kernel[:, :, i, j], correction.up[tap] @ correction.down[tap])
    assert Correction((4, 3), 32, torch.Generator()).up.shape == (1, 4, 3)


def test_a_correction_brings_the_student_nearer(teacher: Pipeline, data: CalibrationSet) -> None:
    context = Context(parse_scheme("W2A16"), data)
    training = Training(steps=12, batch=8, rate=8e-3, average=0.8)
    distilled(teacher, Distill(RTN, Imitation(), training, rank=8), context)
    log = context.report["training"]["log"]
    assert log[-1]["distance"] < 0.9 * log[0]["distance"]


def test_stages_train_the_sites_of_their_roles_alone(
    teacher: Pipeline, data: CalibrationSet
) -> None:
    scheme = parse_scheme("W4A8,static")
    context = Context(scheme, data)
    training = Training(steps=3, batch=8, rate=2e-2)
    step = Distill(RTN, Imitation(), training, stages=(("ada",), ("proj", "fc2"), ("time",)))
    start = copy.deepcopy(teacher)
    run(list(RTN), start, Context(scheme, data))
    found = distilled(teacher, step, context)
    roles = {site.name: site.role.value for site in found.adapter.sites(found.network)}
    ours, theirs = state(found), state(start)
    moved = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    trained = {name for name, role in roles.items() if role in {"ada", "proj", "fc2"}}
    assert moved and all(any(m.startswith(f"{name}.") for name in trained) for m in moved)
    assert all(f"{name}.coded.codes" in moved for name in trained)
    stages = [record["stage"] for record in context.report["training"]["log"]]
    assert stages == [0, 0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="no site plays the role 'attention'"):
        Distill(RTN, stages=(("attention",),))
    with pytest.raises(ValueError, match="plays a role of the stages"):
        distilled(teacher, Distill(RTN, training=SHORT, stages=(("time",),)), Context(scheme, data))
