"""What a job will take, before it runs: seconds from a small probe, bytes from the schemes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from bitscape import artefacts
from bitscape.api.model import Model
from bitscape.calibration import record
from bitscape.evaluation import Settings, balanced_labels, teacher_forced_losses
from bitscape.formats import tensor_cost
from bitscape.passes import Distill, QuantizeWeights, weight_sites
from bitscape.recipes import Recipe
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
    """Seconds, and bytes of memory and of disk at their peak, to a factor of about two."""

    seconds: float
    memory_bytes: int
    disk_bytes: int


def estimate_quantize(model: Model, recipe: Recipe) -> Estimate:
    """The cost of `quantize` with an artefact as its result.

    Recording is timed on four images, and so is a call where the recipe trains: a step runs the
    teacher once, and the student as long as it takes five times over. Rounding is counted as one
    solve of n^3 and one update of m n^2 operations for each m x n weight, at the speed of a matrix
    product on this machine.
    """
    pipeline = model.pipeline
    shapes, coded = _matrices(pipeline), weight_sites(pipeline, recipe.quant_scheme())
    samples = recipe.calibration.samples
    labels = balanced_labels(_PROBE, pipeline.adapter.num_classes)
    start = time.perf_counter()
    found = record(pipeline, labels, seed=0, keep=recipe.calibration.keep, **recipe.sampler)
    per_image = (time.perf_counter() - start) / _PROBE
    # One batch keeps as many calls whatever its size.
    recorded = _call_bytes(found.calls) * samples // _PROBE
    operations = sum(columns**3 + rows * columns**2 for rows, columns in shapes.values())
    hessians = _FLOAT_BYTES * max(columns**2 for _, columns in shapes.values()) * len(shapes)
    artefact = _stored_bytes(pipeline.tokenizer) + _stored_bytes(pipeline.network)
    for site, scheme in coded:
        rows, columns = shapes[site.name]
        artefact += tensor_cost((rows, columns), scheme).total_bytes - 2 * rows * columns
    trained = _trained(recipe)
    steps, copies = 0.0, 3 if _matched(recipe) else 2
    if trained is not None:
        training = trained.training
        passes = 1 + _PASSES * (len(trained.nesting.widths) if trained.nesting else 1)
        steps = training.steps * training.batch * passes * _seconds_a_row(pipeline, found.calls)
        copies += _STATES
    return Estimate(
        seconds=_SWEEPS * samples * per_image + operations / _speed() + steps,
        memory_bytes=_PROCESS_BYTES
        + copies * _resident_bytes(pipeline.network)
        + _resident_bytes(pipeline.tokenizer)
        + recorded
        + hessians,
        # The workspace holds calibration and finished blocks until the artefact is complete.
        disk_bytes=2 * artefact + recorded,
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


def _matched(recipe: Recipe) -> bool:
    """Whether outputs are matched to those of full precision, which is then kept beside."""
    steps = recipe.build().passes()
    return any(isinstance(step, QuantizeWeights) and step.matched is not None for step in steps)


def _trained(recipe: Recipe) -> Distill | None:
    """The pass of the recipe that trains the whole network, if one does."""
    steps = [step for step in recipe.build().passes() if isinstance(step, Distill)]
    return steps[0] if steps else None


@torch.no_grad()
def _seconds_a_row(pipeline: Pipeline, calls: Sequence[Call]) -> float:
    """What a call takes for each of the probe's images."""
    start = time.perf_counter()
    for call in calls:
        invoke(pipeline.network, pipeline.clocks, call)
    for clock in pipeline.clocks.values():
        clock.unset()
    return (time.perf_counter() - start) / len(calls) / _PROBE


def _call_bytes(calls: object) -> int:
    assert isinstance(calls, tuple)
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
