"""Error at each step, before and after the sampler has read the network's answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from bitscape.algorithms.sensitivity import divergence
from bitscape.analysis.trace import Pair, Path, Subject, distance, handed_on, lockstep, run, signal
from bitscape.structure import Pipeline

_SHOWN = 32


@dataclass(frozen=True)
class StepStudy:
    """Relative errors at the calls `calls` of a trajectory, means over images.

    `feature`: of the network's answer, given the teacher's inputs. `reconstruction`: of what the
    sampler hands to the next call when this one answer is the student's. `drift`: of the same when
    all answers are the student's, with the teacher's random numbers. `kl`: of the answers, in nats
    a token, for discrete families. Tokens handed on count the share that differs.
    """

    calls: list[int]
    nets: list[str]
    feature: list[float]
    reconstruction: list[float]
    drift: list[float]
    kl: list[float] | None
    summary: str


@dataclass(frozen=True)
class LayerStudy:
    """Relative error of the output of each layer at each call, given the teacher's inputs.

    Errors of earlier layers are in it. None where a call does not run the layer.
    """

    layers: list[str]
    calls: list[int]
    errors: list[list[float | None]]
    summary: str


@torch.no_grad()
def step_study(
    teacher: Subject, student: Subject, layers: Sequence[str]
) -> tuple[StepStudy, LayerStudy]:
    """Both studies, in one pass of the two models side by side."""
    outputs: list[Tensor] = []
    nets: list[str] = []
    feature, kl, handed, others = [], [], [], []
    columns: list[list[float | None]] = []
    with _Outputs(teacher.pipeline, layers) as ours, _Outputs(student.pipeline, layers) as theirs:
        for pair in lockstep(teacher, student):
            feature.append(_feature(teacher.pipeline, pair))
            if teacher.pipeline.adapter.discrete:
                kl.append(float(divergence(pair.output, pair.other).mean()))
            nets.append(pair.net)
            handed.append(pair.handed)
            outputs.append(pair.output)
            others.append(pair.other)
            columns.append([_layer_error(ours.take(name), theirs.take(name)) for name in layers])
    path = Path(tuple(nets), (*handed, handed_on(teacher, outputs)), tuple(outputs))
    free = run(student)
    calls = evenly(len(path), _SHOWN)
    single = [handed_on(teacher, [*outputs[:i], others[i]]) for i in calls]
    reconstruction = [_mean(path.after(i), one) for i, one in zip(calls, single, strict=True)]
    drift = [_mean(path.after(i), free.after(i)) for i in calls]
    feature = [feature[i] for i in calls]
    steps = StepStudy(
        calls,
        [nets[i] for i in calls],
        feature,
        reconstruction,
        drift,
        [kl[i] for i in calls] if kl else None,
        _step_words(len(path), feature, reconstruction, drift),
    )
    errors = [[columns[i][row] for i in calls] for row in range(len(layers))]
    return steps, LayerStudy(list(layers), calls, errors, _layer_words(layers, calls, errors))


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`, spread evenly, first and last among them."""
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def _feature(pipeline: Pipeline, pair: Pair) -> float:
    return _mean(signal(pipeline, pair.output), signal(pipeline, pair.other))


def _mean(reference: Tensor, value: Tensor) -> float:
    return float(distance(reference, value).mean())


def _layer_error(ours: Tensor | None, theirs: Tensor | None) -> float | None:
    return None if ours is None or theirs is None else _mean(ours, theirs)


class _Outputs:
    """The last output of each named layer, while the context lasts."""

    def __init__(self, pipeline: Pipeline, layers: Sequence[str]) -> None:
        self.modules = {name: pipeline.network.get_submodule(name) for name in layers}
        self.kept: dict[str, Tensor] = {}

    def __enter__(self) -> "_Outputs":
        self.hooks = [
            module.register_forward_hook(self._keeping(name))
            for name, module in self.modules.items()
        ]
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self.hooks:
            hook.remove()

    def take(self, name: str) -> Tensor | None:
        """The output since the last call of this method; None when the layer has not run."""
        return self.kept.pop(name, None)

    def _keeping(self, name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def keep(module: nn.Module, args: object, output: Tensor) -> None:
            self.kept[name] = output.detach()

        return keep


def _step_words(
    count: int, feature: Sequence[float], reconstruction: Sequence[float], drift: Sequence[float]
) -> str:
    share = median(reconstruction) / max(median(feature), torch.finfo(torch.float64).tiny)
    early = drift[max(0, round(0.1 * len(drift)) - 1)]
    return (
        f"The network's answers err by {median(feature):.1%} (median over {count} calls), the "
        f"reconstruction after one such answer by {median(reconstruction):.1%}, {share:.2g} times "
        f"as much; running freely, the reconstruction is off by {early:.1%} after a tenth of the "
        f"calls and by {drift[-1]:.1%} at the end."
    )


def _layer_words(
    layers: Sequence[str], calls: Sequence[int], errors: Sequence[Sequence[float | None]]
) -> str:
    found = [
        (error, layer, call)
        for layer, row in zip(layers, errors, strict=True)
        for call, error in zip(calls, row, strict=True)
        if error is not None
    ]
    if not found:
        return "No layer was watched."
    worst, layer, call = max(found)
    middle = median(error for error, _, _ in found)
    return (
        f"The worst of {len(layers)} layers is {layer} at call {call + 1}, off by {worst:.1%}; the "
        f"median over layers and calls is {middle:.1%}."
    )
