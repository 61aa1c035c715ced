"""auto: at each layer the change of basis that is measured best, then GPTQ.

No paper of its own. It chooses, fold by fold, among what these propose:

    nothing
    SmoothQuant's scales on a grid of alpha, arXiv:2211.10438           passes.Smooth
    gain-projected scales with and without a shift, arXiv:2601.21238    passes.Gain
    weight dilation, full and balanced, arXiv:2409.14307                passes.Dilate
    a Hadamard rotation, plain or behind a scale, arXiv:2404.00456      passes.Rotate
    the choice: least |X^ W^^T - X W^T|^2 over all consumers            algorithms.output_error
    the weight whose outputs match full precision's, arXiv:2504.02692   algorithms.matching
    rounding by GPTQ, arXiv:2210.17323                                  algorithms.gptq

The error is that of the outputs at the scheme's own bits, with the static ranges that each token
group will have, on calibration inputs behind blocks that are already rounded. The report holds, for
each site, the choice, its error and that of doing nothing. Before a weight is rounded it moves to
where it makes up for what the rounding of earlier layers, and of their inputs, did to its own; so
does its bias. `matched` False leaves that out.

Deviations. Each proposal is the library's own form of its paper's idea, as its card says. A choice
that costs work at run time has to save `toll` of the error beyond the best that costs none;
`online` False leaves such choices out, which keeps the kernels of plain layers. A bound of
`seconds` counts operations at a nominal speed, not the clock, so that the result does not depend on
the load of the machine; the proposals that come later are then left out.

Cost. Some fifty roundings of each layer on a sample of its inputs, and GPTQ site by site, with a
copy of the network in full precision beside it. At run time what the report says: nothing for
folded scales, a multiplication or a transform for the others.

Use. By default, wherever activations are rounded.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from bitscape.methods.base import Method
from bitscape.methods.schemes import COMMON, INPUTS
from bitscape.passes import (
    Dilate,
    Gain,
    Greedy,
    Index,
    Pass,
    QuantizeActivations,
    QuantizeWeights,
    Rotate,
    Smooth,
    TransformInputs,
)

ALPHAS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Auto(Method):
    """The best change of basis for each fold, then GPTQ."""

    summary: ClassVar[str] = (
        "The best of all scalings and rotations for each layer, then GPTQ: the one to try first."
    )
    schemes: ClassVar[tuple[str, ...]] = tuple(dict.fromkeys((*INPUTS, *COMMON)))

    online: bool = True
    toll: float = 0.05
    seconds: float | None = None
    matched: bool = True
    range: str = "mse"
    activation_range: str = "search"
    activation_index: Index = "run"

    def __post_init__(self) -> None:
        if not 0.0 <= self.toll < 1.0:
            raise ValueError(f"a toll is a share of the error in [0, 1), got {self.toll}")
        if self.seconds is not None and self.seconds <= 0:
            raise ValueError(f"a budget has to be positive, got {self.seconds} seconds")

    def passes(self) -> list[Pass]:
        """Changes of basis, weights, then activations."""
        activations = QuantizeActivations(self.activation_range, self.activation_index)
        choice = TransformInputs(
            (Smooth(ALPHAS), Rotate((None, 0.5)), Gain(), Dilate(), Dilate(balanced=False)),
            activations,
            online=self.online,
            toll=self.toll,
            seconds=self.seconds,
        )
        weights = QuantizeWeights(Greedy(range=self.range))
        if self.matched:
            weights = replace(weights, sequential="site", matched=activations)
        return [choice, weights, activations]
