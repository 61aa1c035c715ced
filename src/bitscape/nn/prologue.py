"""The affine part of a prologue, v = (x - shift) / scale, as algebra on two optional vectors."""

from collections.abc import Set

from jaxtyping import Float
from torch import Tensor

from bitscape.structure import Absorb

Vector = Float[Tensor, " channel"]


def check_scale(scale: Vector, name: str) -> None:
    """ValueError unless every entry is finite and not zero."""
    wrong = ~scale.isfinite() | (scale == 0)
    if bool(wrong.any()):
        channel = int(wrong.nonzero()[0])
        raise ValueError(
            f"the scale of {name} is {float(scale[channel])} at channel {channel}: "
            "a scale has to be finite and not zero"
        )


def compose_affine(
    scale: Vector | None, shift: Vector | None, then_scale: Vector, then_shift: Vector | None
) -> tuple[Vector, Vector | None]:
    """Scale and shift of v -> (v - then_shift) / then_scale applied after the first pair."""
    if then_shift is None:
        moved = shift
    else:
        moved = then_shift if scale is None else then_shift * scale
        moved = moved if shift is None else moved + shift
    return (then_scale if scale is None else scale * then_scale), moved


def keep_after_fold(
    scale: Vector | None, shift: Vector | None, absorbed: Set[Absorb]
) -> tuple[Vector | None, Vector | None]:
    """Scale and shift that remain once the producer emits its share of v.

    A producer that takes the scale alone emits x / scale, so that the shift that stays behind acts
    on scaled values: v = x / scale - shift / scale.
    """
    if Absorb.SHIFT in absorbed:
        shift = None
    if Absorb.SCALE in absorbed:
        shift = shift if shift is None or scale is None else shift / scale
        scale = None
    return scale, shift
