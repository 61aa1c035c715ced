"""What a method is: the hyper-parameters of a paper and the passes they stand for."""

from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable

from bitscape.formats import Codebook, QuantScheme
from bitscape.methods.calibrations import USUAL
from bitscape.passes import Pass


@runtime_checkable
class Method(Protocol):
    """A paper as a sentence of passes; its fields are the paper's hyper-parameters.

    `summary` says in one line what it does and when to use it. `schemes` are those it makes sense
    at, of which the bundled recipes are made; it runs at all that it `takes`. `calibration` is what
    those recipes record otherwise than is usual, fields of `recipes.Calibration`. The docstring of
    its module is its card: source, equations, then paragraphs that begin with "Deviations.",
    "Cost." and "Use.".
    """

    summary: ClassVar[str]
    schemes: ClassVar[tuple[str, ...]]
    calibration: ClassVar[Mapping[str, int]] = USUAL

    def passes(self) -> list[Pass]:
        """The passes, in order."""
        ...

    def takes(self, scheme: QuantScheme) -> bool:
        """Whether it can write the weights of `scheme`: grids of any kind, but no codebooks."""
        return not any(isinstance(weight.format, Codebook) for weight in scheme.weights)
