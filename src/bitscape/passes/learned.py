"""What a reconstruction can learn of a layer: how its weight is rounded, in which basis it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bitscape.algorithms import column_maxima, smoothquant_scale
from bitscape.algorithms.rounding import (
    annealed,
    inverse_rectified_sigmoid,
    neighbours,
    rectified_sigmoid,
    undecided,
)
from bitscape.formats import TensorScheme
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes.learner import Codes, Learned, Learner, Matrix, SeededLearner
from bitscape.passes.rounders import Rounded, range_rule
from bitscape.quantizers import (
    Grid,
    bounds_grid,
    dequantize_weight,
    exact_grid,
    from_groups,
    lsq_quantize,
    quantize_weight,
    round_scale,
    stored_scale,
    to_groups,
    weight_grid,
)

# How far from certain a choice starts that another method has made.
_LEAN = 0.25


@dataclass(frozen=True)
class UpOrDown(SeededLearner):
    """Each weight to the grid point above or below it (AdaRound), on grids fixed beforehand.

    With `greedy` the choice is between the point that GPTQ took and the next one towards the
    weight, and starts at the former; without, between the weight's own two neighbours.

    `pressure` weighs the penalty of undecided weights against the block's error, which starts at
    one; it sets in after the share `warmup` of the steps.
    """

    range: str = "mse"
    rate: float = 0.05
    pressure: float = 1.0
    warmup: float = 0.2

    def start(self, W: Matrix, scheme: TensorScheme, codes: Codes | None = None) -> "RoundingUp":
        """Shares that reproduce `W` itself, or lean to `codes`."""
        return RoundingUp(W, scheme, self, codes)


class RoundingUp(Learned):
    """The share of the way from the grid point below each weight to the one above."""

    low: Tensor
    high: Tensor

    def __init__(
        self, W: Matrix, scheme: TensorScheme, learner: UpOrDown, codes: Codes | None
    ) -> None:
        super().__init__(scheme)
        self.learner = learner
        self.grid = weight_grid(W, scheme, range_rule(learner.range))
        zero = 0 if self.grid.zero is None else self.grid.zero
        placed = to_groups(W, scheme.granularity) / self.grid.scale + zero
        if codes is None:
            self.low, self.high = neighbours(placed, scheme.format)
            share = (placed - self.low) / (self.high - self.low)
        else:
            taken = scheme.format.decode(to_groups(codes, scheme.granularity))
            # Just beside it, on the side of the weight, lies the interval to choose from.
            beside = torch.nextafter(taken, torch.where(placed > taken, torch.inf, -torch.inf))
            self.low, self.high = neighbours(beside, scheme.format)
            share = torch.where(taken == self.high, 1 - _LEAN, _LEAN)
        self.v = nn.Parameter(inverse_rectified_sigmoid(share.clamp(0, 1)))

    def weight(self, W: Matrix) -> Matrix:
        """Grid points below plus the shares; `W` itself was read at the start."""
        return self._restore(rectified_sigmoid(self.v), W)

    def penalty(self, progress: float) -> Tensor:
        """How undecided the weights are; nothing during the warm-up."""
        late = (progress - self.learner.warmup) / (1 - self.learner.warmup)
        if late < 0:
            return self.v.new_zeros(())
        return self.learner.pressure * undecided(rectified_sigmoid(self.v), annealed(late))

    def rounded(self, W: Matrix) -> Rounded:
        """Up where the share is above a half."""
        hard = self._restore((self.v > 0).to(W.dtype), W)
        up = float((self.v > 0).float().mean())
        return Rounded(quantize_weight(hard, self.grid, self.scheme), self.grid, {"up": up})

    def _restore(self, share: Tensor, W: Matrix) -> Matrix:
        zero = 0 if self.grid.zero is None else self.grid.zero
        values = (self.low + share * (self.high - self.low) - zero) * self.grid.scale
        return from_groups(values, W.shape, self.scheme.granularity)


@dataclass(frozen=True)
class Clip(Learner):
    """The ends of each range by learnt factors (OmniQuant's learnable weight clipping)."""

    range: str = "minmax"
    rate: float = 0.01

    def start(self, W: Matrix, scheme: TensorScheme, codes: Codes | None = None) -> "Clipping":
        """Factors of one."""
        del codes
        return Clipping(W, scheme, self)


class Clipping(Learned):
    """Factors on the lower and upper ends of the ranges of a weight's groups."""

    # OmniQuant's start; dividing by its sigmoid makes the first factor exactly one.
    START: ClassVar[float] = 4.0

    def __init__(self, W: Matrix, scheme: TensorScheme, learner: Clip) -> None:
        super().__init__(scheme)
        low, high = self._extremes(W)
        self.lower = nn.Parameter(torch.full_like(low, self.START))
        self.upper = nn.Parameter(torch.full_like(high, self.START))
        # The rule's share of the extremes, so that a basis that is learnt needs no new search.
        found = exact_grid(W, scheme, range_rule(learner.range))
        whole = bounds_grid(low, high, scheme.format, scheme.symmetric)
        self.share = torch.where(whole.scale == 0, 1.0, found.scale / whole.scale)

    def weight(self, W: Matrix) -> Matrix:
        """`W` rounded to nearest on the clipped grid, with straight-through gradients."""
        grid = self._grid(W)
        scale = stored_scale(grid, self.scheme)
        grouped = to_groups(W, self.scheme.granularity)
        rounded = lsq_quantize(grouped, scale, grid.zero, self.scheme.format)
        return from_groups(rounded, W.shape, self.scheme.granularity)

    @torch.no_grad()
    def rounded(self, W: Matrix) -> Rounded:
        """`W` to nearest on the clipped grid."""
        dead = (to_groups(W, self.scheme.granularity) == 0).all(dim=-1, keepdim=True)
        grid = round_scale(self._grid(W), self.scheme, dead=dead)
        clip = float(self._factor(self.upper).mean())
        return Rounded(quantize_weight(W, grid, self.scheme), grid, {"clip": clip})

    def _grid(self, W: Matrix) -> Grid:
        low, high = self._extremes(W)
        low = low * self.share * self._factor(self.lower)
        high = high * self.share * self._factor(self.upper)
        return bounds_grid(low, high, self.scheme.format, self.scheme.symmetric)

    def _extremes(self, W: Matrix) -> tuple[Tensor, Tensor]:
        low, high = to_groups(W, self.scheme.granularity).aminmax(dim=-1, keepdim=True)
        return low, high

    def _factor(self, v: Tensor) -> Tensor:
        return torch.sigmoid(v) / torch.sigmoid(torch.tensor(self.START))


class Settled(Learned):
    """A rounding that is learnt no further."""

    def __init__(self, learned: Learned, scheme: TensorScheme) -> None:
        super().__init__(scheme)
        self.learned = learned

    def weight(self, W: Matrix) -> Matrix:
        """`W` as it is rounded."""
        rounded = self.learned.rounded(W)
        return dequantize_weight(rounded.codes, rounded.grid, self.scheme)

    def rounded(self, W: Matrix) -> Rounded:
        """The codes."""
        return self.learned.rounded(W)


class Affine(nn.Module):
    """A learnt change of basis, v = (x - shift) / exp(log_scale), of all that read one fold."""

    shift: nn.Parameter | None

    def __init__(self, scale: Float[Tensor, " in"], shift: Float[Tensor, " in"] | None) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(scale.log())
        self.register_parameter("shift", None if shift is None else nn.Parameter(shift))

    @property
    def scale(self) -> Tensor:
        """The divisors, always positive."""
        return self.log_scale.exp()


class LearnedLayer(nn.Module):
    """Stands in for a layer while its block is trained."""

    def __init__(
        self, layer: QuantLinear | QuantConv2d, learned: Learned, affine: Affine | None
    ) -> None:
        super().__init__()
        self.layer = layer
        self.learned = learned
        self.affine = affine

    def forward(self, x: Tensor) -> Tensor:
        """What the layer would compute if it were rounded now."""
        weight = self.layer.weight
        assert weight is not None
        W = weight.detach().flatten(1)
        if self.affine is None:
            return self.layer.multiply(x, self.learned.weight(W).view_as(weight))
        shift = self.affine.shift
        moved = x if shift is None else x - shift
        rounded = self.learned.weight(W * self.affine.scale)
        y = self.layer.multiply(moved / self.affine.scale, rounded)
        return y if shift is None else y + functional.linear(shift, W)


def starting_affine(
    extremes: tuple[Tensor, Tensor], weights: Sequence[Matrix], *, shift: bool
) -> Affine:
    """SmoothQuant's scale at alpha 0.5 of inputs centred by their extremes, as OmniQuant starts."""
    low, high = extremes
    centre = (low + high) / 2 if shift else torch.zeros_like(low)
    reach = torch.maximum(high - centre, centre - low)
    scale = smoothquant_scale(reach, column_maxima(weights), 0.5)
    return Affine(scale, centre if shift else None)
