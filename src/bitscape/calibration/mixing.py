"""Batches of mixed steps: the samples of recorded calls dealt out anew."""

from collections.abc import Sequence

import torch
from torch import Tensor

from bitscape.calibration.on_disk import on_disk
from bitscape.structure import Call


def mixed(
    calls: Sequence[Call], size: int | None, generator: torch.Generator, parts: int = 1
) -> list[Call]:
    """The samples of `calls` in random order, `size` to a call, each with the step of its own.

    Only samples whose arguments have the same shapes share a call, without a `size` as many as in
    the first of theirs, or one of its `parts`. Calls with a step for each token, or with arguments
    that all samples share, stay as they are.
    """
    if size is not None and size < 1:
        raise ValueError(f"a batch holds at least one sample, got {size}")
    result: list[Call] = []
    alike: dict[tuple[object, ...], list[Call]] = {}
    for call in calls:
        if divisible(call):
            alike.setdefault(_shape(call), []).append(call)
        else:
            result.append(call)
    for group in alike.values():
        result += _dealt(group, size or group[0].samples // parts, generator)
    return result


def divisible(call: Call) -> bool:
    """Whether each sample of the call can be read apart: one step for all, arguments of its own."""
    lengths = {len(arg) if arg.ndim else 0 for arg in call.args if isinstance(arg, Tensor)}
    return call.step.shape[1] == 1 and len(lengths) == 1 and 0 not in lengths


def _shape(call: Call) -> tuple[object, ...]:
    shapes = (tuple(a.shape[1:]) if isinstance(a, Tensor) else a for a in call.args)
    return (call.net, *shapes)


def _dealt(calls: Sequence[Call], size: int, generator: torch.Generator) -> list[Call]:
    samples = [(call, place) for call in calls for place in range(call.samples)]
    order = torch.randperm(len(samples), generator=generator)
    return on_disk(_call([samples[i] for i in part.tolist()]) for part in order.split(size))


def _call(samples: Sequence[tuple[Call, int]]) -> Call:
    """One call of these samples, each with its place in the call that it comes from."""
    [(first, _), *_] = samples
    steps = [call.step.expand(call.samples, 1)[place] for call, place in samples]
    args = tuple(
        torch.stack([call.args[j][place] for call, place in samples])
        if isinstance(arg, Tensor)
        else arg
        for j, arg in enumerate(first.args)
    )
    return Call(first.net, torch.stack(steps), args)
