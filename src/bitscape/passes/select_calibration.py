"""Calibrating on fewer samples, chosen by what the network makes of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bitscape.algorithms import farthest, herded
from bitscape.calibration import CalibrationSet, replay
from bitscape.formats import QuantScheme
from bitscape.passes.answers import looking
from bitscape.passes.base import Context, Field
from bitscape.structure import Call, Pipeline

CHOICES: Mapping[str, Callable[[Tensor, int], Tensor]] = {"distance": farthest, "kernel": herded}


@dataclass(frozen=True)
class SelectCalibration:
    """Keep the `share` of the calibration samples that the rule `by` chooses, for all later passes.

    A sample is one row of one call, which conditional and unconditional halves share alike; its
    features are the mean over tokens of the last block's output. Calls are made at different steps
    of a trajectory, so that each chooses among its own rows.
    """

    before: ClassVar[frozenset[Field]] = frozenset()
    writes: ClassVar[frozenset[Field]] = frozenset()

    by: Literal["distance", "kernel"] = "kernel"
    share: float = 0.5

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        """Whether there is anything to quantize."""
        return any(each.weight is not None or each.activation is not None for each in scheme.sites)

    @torch.no_grad()
    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        """Narrow the context's calibration set."""
        found = context.calibrated("a selection of samples")
        if self.share == 1.0:
            return
        calls, kept, total = [], 0, 0
        for call in found.calls:
            features = _features(pipeline, call)
            count = max(1, round(self.share * len(features)))
            rows = CHOICES[self.by](features, count).cpu()
            calls.append(_rows(call, rows, len(features)))
            kept, total = kept + count, total + len(features)
        selection = {"by": self.by, "kept": kept, "of": total}
        context.report["selection"] = selection
        provenance = {**found.provenance, "selection": selection}
        context.calibration = CalibrationSet(tuple(calls), provenance)


def _features(pipeline: Pipeline, call: Call) -> Tensor:
    """The mean over tokens of what the last block of the called sub-network returns, a row each."""
    inside = [
        block.name
        for block in pipeline.adapter.blocks(pipeline.network)
        if not call.net or f"{block.name}.".startswith(f"{call.net}.")
    ]
    last = inside[-1] if inside else call.net
    with looking(pipeline.network, [last]) as seen:
        replay(pipeline.network, pipeline.clocks, [call])
    return _pooled(seen[last][-1].float())


def _pooled(x: Tensor) -> Tensor:
    """(batch, channel) of (batch, token, channel), (batch, channel, h, w) or itself."""
    if x.ndim == 4:
        return x.flatten(2).mean(dim=2)
    return x.mean(dim=1) if x.ndim == 3 else x


def _rows(call: Call, rows: Tensor, batch: int) -> Call:
    """`call` with those rows of its batch of every argument that has one."""

    def taken(value: Tensor) -> Tensor:
        return value[rows] if value.ndim and len(value) == batch else value

    args = tuple(taken(arg) if isinstance(arg, Tensor) else arg for arg in call.args)
    step = call.step[rows] if len(call.step) == batch > 1 else call.step
    return Call(call.net, step, args, call.state)
