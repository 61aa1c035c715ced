"""Calls whose tensors lie on disk: long trajectories of many images exceed the memory."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from torch import Tensor

from bitscape.files import Spill
from bitscape.structure import Call

# Where an argument stood that is on disk.
_GONE: Final = object()


def on_disk(calls: Iterable[Call]) -> list[Call]:
    """The same calls, their steps and arguments in one file: `files.Spill`.

    Each is put there before the next is asked for.
    """
    outlines = []
    with Spill() as spill:
        for call in calls:
            for tensor in (call.step, *(arg for arg in call.args if isinstance(arg, Tensor))):
                spill.add(tensor)
            plain = tuple(_GONE if isinstance(arg, Tensor) else arg for arg in call.args)
            outlines.append(replace(call, args=plain))
        views = iter(spill.views())
    return [
        replace(
            outline,
            step=next(views),
            args=tuple(next(views) if arg is _GONE else arg for arg in outline.args),
        )
        for outline in outlines
    ]
