"""What a job will take, before it runs: seconds from a small probe, bytes from the schemes."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from bitscape import artefacts
from bitscape.api.model import Model
from bitscape.calibration import record
from bitscape.evaluation import Settings, balanced_labels, teacher_forced_losses
from bitscape.formats import tensor_cost
from bitscape.passes import Distill, QuantizeWeights, weight_sites
from bitscape.recipes import Recipe, calibration_conditions, reads_calibration
from bitscape.structure import Call, Kind, Pipeline, invoke
from bitscape.zoo import shapes_protocol

_PROBE = 4
_FLOAT_BYTES = 4
# Interpreter, torch and its libraries, before any model.
_PROCESS_BYTES = 400 << 20
# Recording, then streaming the calls through float and quantized blocks.
_SWEEPS = 3
# A step of training: the student forward, back, and rounding its weights; the teacher runs once.
_PASSES = 5
# Latent weights, their average, gradients, two moments of Adam.
_STATES = 5


@dataclass(frozen=True)
class Estimate:
    """Seconds, and bytes of memory and of disk at their peak, to a factor of about two.

    Temporary files are not counted.
    """

    seconds: float
    memory_bytes: int
    disk_bytes: int


@dataclass(frozen=True)
class _Probe:
    """A few recorded images: seconds and bytes of the recording for each, and the calls.

    Nothing of anything where nothing has to be recorded.
    """

    seconds: float = 0.0
    bytes: int = 0
    calls: tuple[Call, ...] = ()


def estimate_quantize(model: Model, recipe: Recipe) -> Estimate:
    """The cost of `quantize` with an artefact as its result.

    Where the recipe reads calls, recording is timed on four images, and so is a call where it
    trains: a step runs the teacher once, and the student as long as it takes five times over.
    Rounding is counted as one solve of n^3 and one update of m n^2 operations for each m x n
    weight, at the speed of a matrix product on this machine. ValueError for a recipe that the model
    cannot have, and for a model of prompts where the recipe needs some and has none.
    """
    recipe.check(model.outline)
    pipeline, samples = model.pipeline, recipe.calibration.samples
    shapes, probe = _matrices(pipeline), _probe(pipeline, recipe)
    # One batch keeps as many calls whatever its size.
    recorded = probe.bytes * samples
    operations = sum(columns**3 + rows * columns**2 for rows, columns in shapes.values())
    hessians = _FLOAT_BYTES * max(columns**2 for _, columns in shapes.values()) * len(shapes)
    trained = recipe.training()
    copies = (3 if _matched(recipe) else 2) + (0 if trained is None else _STATES)
    steps = 0.0 if trained is None else _training_seconds(trained, pipeline, probe.calls)
    return Estimate(
        seconds=_SWEEPS * samples * probe.seconds + operations / _speed() + steps,
        memory_bytes=_PROCESS_BYTES
        + copies * _resident_bytes(pipeline.network)
        + _resident_bytes(pipeline.tokenizer)
        + recorded
        + hessians,
        # The workspace holds calibration and finished blocks until the artefact is complete.
        disk_bytes=2 * _artefact_bytes(pipeline, recipe, shapes) + recorded,
    )


def estimate_evaluate(model: Model, settings: Settings, *, beside: bool) -> Estimate:
    """The cost of `evaluate`; `beside` says that full precision is sampled too."""
    pipeline = model.pipeline
    start = time.perf_counter()
    images = pipeline.sample(balanced_labels(_PROBE, pipeline.adapter.num_classes))
    per_image = (time.perf_counter() - start) / _PROBE
    start = time.perf_counter()
    teacher_forced_losses(pipeline, shapes_protocol().draw, _PROBE)
    per_loss = (time.perf_counter() - start) / _PROBE
    models = 2 if beside else 1
    count = settings.n * len(settings.seeds)
    # Pixels, and float latents of about as many bytes.
    disk = models * count * 2 * images[0].numel()
    return Estimate(
        seconds=models * (count * per_image + settings.losses * per_loss),
        memory_bytes=_PROCESS_BYTES
        + models * (_resident_bytes(pipeline.network) + _resident_bytes(pipeline.tokenizer))
        + settings.n * 2 * images[0].numel(),
        disk_bytes=disk,
    )


def _matrices(pipeline: Pipeline) -> dict[str, tuple[int, int]]:
    """The matrix shape of the weight of every site that has one."""
    shapes = {}
    for site in pipeline.adapter.sites(pipeline.network):
        if site.kind is not Kind.ATTEND:
            weight = pipeline.network.get_submodule(site.name).get_parameter("weight")
            shapes[site.name] = (weight.shape[0], weight[0].numel())
    return shapes


def _artefact_bytes(
    pipeline: Pipeline, recipe: Recipe, shapes: Mapping[str, tuple[int, int]]
) -> int:
    """The bytes of the artefact: codes and scales of what is quantized, 16 bits for the rest."""
    found = _stored_bytes(pipeline.tokenizer) + _stored_bytes(pipeline.network)
    for site, scheme in weight_sites(pipeline, recipe.quant_scheme()):
        rows, columns = shapes[site.name]
        found += tensor_cost((rows, columns), scheme).total_bytes - 2 * rows * columns
    return found


def _probe(pipeline: Pipeline, recipe: Recipe) -> _Probe:
    """What recording takes, if the recipe has anything recorded."""
    if not reads_calibration(recipe) and not recipe.trains():
        return _Probe()
    wanted = recipe.calibration.model_copy(update={"samples": _PROBE})
    conditions = calibration_conditions(pipeline, wanted)
    start = time.perf_counter()
    found = record(pipeline, conditions, seed=0, keep=wanted.keep, **recipe.sampler)
    seconds = time.perf_counter() - start
    return _Probe(seconds / _PROBE, _call_bytes(found.calls) // _PROBE, found.calls)


def _matched(recipe: Recipe) -> bool:
    """Whether outputs are matched to those of full precision, which is then kept beside."""
    steps = recipe.steps()
    return any(isinstance(step, QuantizeWeights) and step.matched is not None for step in steps)


def _training_seconds(trained: Distill, pipeline: Pipeline, calls: Sequence[Call]) -> float:
    """What its steps take, from the time of `calls`."""
    passes = 1 + _PASSES * (len(trained.nesting.widths) if trained.nesting else 1)
    training = trained.training
    return training.steps * training.batch * passes * _seconds_a_row(pipeline, calls)


@torch.no_grad()
def _seconds_a_row(pipeline: Pipeline, calls: Sequence[Call]) -> float:
    """What a call takes for each of the probe's images."""
    start = time.perf_counter()
    for call in calls:
        invoke(pipeline.network, pipeline.clocks, call.to(pipeline.device))
    for clock in pipeline.clocks.values():
        clock.unset()
    return (time.perf_counter() - start) / len(calls) / _PROBE


def _call_bytes(calls: Sequence[Call]) -> int:
    tensors = [arg for call in calls for arg in call.args if isinstance(arg, torch.Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _stored_bytes(module: nn.Module) -> int:
    narrow = (artefacts.narrow(tensor) for tensor in module.state_dict().values())
    return sum(tensor.numel() * tensor.element_size() for tensor in narrow)


def _resident_bytes(module: nn.Module) -> int:
    return sum(t.numel() * t.element_size() for t in module.state_dict().values())


def _speed() -> float:
    """Floating-point operations a second of a matrix product here."""
    a = torch.randn(512, 512)
    start = time.perf_counter()
    for _ in range(4):
        a @ a
    return 4 * 2 * 512**3 / (time.perf_counter() - start)
