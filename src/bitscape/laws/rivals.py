"""Which settings may compete for a budget: sound laws, and none that wins by noise alone."""

from collections.abc import Iterable, Sequence

from bitscape.laws.choice import Fitted
from bitscape.laws.settings import Axis
from bitscape.laws.table import Number

Widths = tuple[str, Number, Number]
"""Method, weight bits, activation bits."""


def competitors(group: Sequence[Fitted], axis: Axis) -> list[Fitted]:
    """The settings of one ladder that may stand on its frontier.

    Those with a sound law; for model bits without the settings whose method reached the same
    weights with wider activations, which cost nothing on that axis: fewer bits can only win there
    by noise.
    """
    kept = sound(group)
    if axis == "compute-bits":
        return kept
    widest = widest_activations(_widths(one) for one in kept)
    return [one for one in kept if _widths(one) in widest]


def sound(group: Sequence[Fitted]) -> list[Fitted]:
    """The settings of one ladder whose law may be used for a budget of any kind.

    Left out are a second table's reading of a setting, and laws with fewer than two degrees of
    freedom, if others have more.
    """
    first = {(one.setting.method, one.setting.scheme): one for one in reversed(group) if one.law}
    kept = [one for one in group if first.get((one.setting.method, one.setting.scheme)) is one]
    return [one for one in kept if one.law is not None and one.law.dof >= 2] or kept


def widest_activations(settings: Iterable[Widths]) -> set[Widths]:
    """Of each method at each weight width the widest activations."""
    widest: dict[tuple[str, Number], Number] = {}
    for method, w_bits, a_bits in settings:
        widest[method, w_bits] = max(widest.get((method, w_bits), 0), a_bits)
    return {(*key, a_bits) for key, a_bits in widest.items()}


def _widths(one: Fitted) -> Widths:
    return one.setting.method, one.setting.w_bits, one.setting.a_bits
