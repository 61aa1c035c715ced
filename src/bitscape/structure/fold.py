"""Folds: which producer feeds which sites, and what that producer can absorb exactly."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from jaxtyping import Float
from torch import Tensor, nn


class Absorb(StrEnum):
    """A change of basis that a producer can take over from its consumers' prologues."""

    SCALE = "scale"
    SHIFT = "shift"
    ROTATION = "rotation"


Push = Callable[[nn.Module, Float[Tensor, " channel"], Float[Tensor, " channel"]], None]
Linear = Callable[[Float[Tensor, "*lead channel"]], Float[Tensor, "*lead channel"]]
Turn = Callable[[nn.Module, Linear], None]


@dataclass(frozen=True)
class Fold:
    """A producer whose output x is read by all of `consumers` and by nothing else.

    `push(network, scale, shift)` edits the producer in place so that it emits (x - shift) / scale
    instead of x, exactly in real arithmetic. It may be called with a shift only when `takes`
    holds SHIFT (pass zeros otherwise), with a scale other than one only when it holds SCALE.
    An empty `takes` still names the sites that must share one prologue.

    Where `takes` holds ROTATION, `turn(network, rotate)` edits the producer to emit rotate(x) for a
    linear `rotate` that mixes no channels of different runs of `run` (the width of a head).
    """

    name: str
    consumers: tuple[str, ...]
    takes: frozenset[Absorb]
    push: Push
    turn: Turn | None = None
    run: int = 0
