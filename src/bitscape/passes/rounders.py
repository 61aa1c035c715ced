"""Rounders: from a float weight matrix to codes and their grid."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Float, UInt8
from torch import Tensor

from bitscape.algorithms import FittedGroups, FixedGrids, gptq, gptvq, relative_error
from bitscape.formats import E8M0, Codebook, TensorScheme
from bitscape.quantizers import (
    RANGES,
    Centroids,
    Grid,
    RangeRule,
    look_up_weight,
    quantize_weight,
    weight_grid,
)


@dataclass(frozen=True)
class Rounded:
    """The codes of a weight matrix, the grid that gives them meaning, and what to report.

    `bias` takes the place of the layer's own where there is one.
    """

    codes: UInt8[Tensor, "out codes"]
    grid: Grid | Centroids
    report: dict[str, Any]
    bias: Float[Tensor, " out"] | None = None


@runtime_checkable
class Rounder(Protocol):
    """A way to round a weight matrix; `reads_inputs` says whether it needs the Hessian H."""

    reads_inputs: ClassVar[bool]

    def __call__(
        self,
        W: Float[Tensor, "out in"],
        scheme: TensorScheme,
        H: Float[Tensor, "in in"] | None,
    ) -> Rounded:
        """`W` written by `scheme`."""
        ...


def range_rule(name: str) -> RangeRule:
    """The range rule called `name`; ValueError lists those there are."""
    if name not in RANGES:
        raise ValueError(f"unknown range {name!r}: one of {', '.join(RANGES)}")
    return RANGES[name]


@dataclass(frozen=True)
class Nearest:
    """Every weight to the nearest point of its grid."""

    reads_inputs: ClassVar[bool] = False
    range: str = "minmax"

    def __post_init__(self) -> None:
        range_rule(self.range)

    def __call__(
        self,
        W: Float[Tensor, "out in"],
        scheme: TensorScheme,
        H: Float[Tensor, "in in"] | None = None,
    ) -> Rounded:
        """Round to nearest."""
        del H
        grid = weight_grid(W, scheme, range_rule(self.range))
        return Rounded(quantize_weight(W, grid, scheme), grid, {})


@dataclass(frozen=True)
class Greedy:
    """Column after column, each making up for the errors of those before it: `algorithms.gptq`."""

    reads_inputs: ClassVar[bool] = True
    range: str = "mse"
    damping: float = 0.01
    block: int = 128
    act_order: bool = True
    static_groups: bool = True

    def __post_init__(self) -> None:
        range_rule(self.range)

    def __call__(
        self,
        W: Float[Tensor, "out in"],
        scheme: TensorScheme,
        H: Float[Tensor, "in in"] | None,
    ) -> Rounded:
        """Round under the Hessian `H` of the layer's input."""
        if H is None:
            raise ValueError("GPTQ rounds by the layer's inputs: give it calibration data")
        quantizer = self.quantizer(W, scheme)
        W_hat, report = gptq(
            W,
            H,
            quantizer=quantizer,
            block=self.block,
            damping=self.damping,
            act_order=self.act_order,
        )
        grid = quantizer.grid()
        entry = {
            "output_error": relative_error(W, W_hat, H),
            "damping": report.damping,
            "attempts": report.attempts,
            "dead_columns": report.dead,
        }
        return Rounded(quantize_weight(W_hat, grid, scheme), grid, entry)

    def quantizer(
        self, W: Float[Tensor, "out in"], scheme: TensorScheme
    ) -> FixedGrids | FittedGroups:
        """Grids fitted on the way for groups unless static ones were asked for, else fixed ones."""
        rule = range_rule(self.range)
        # One float scale stands over all the block scales of NVFP4, so they are fitted together.
        apart = scheme.scale_format is None or isinstance(scheme.scale_format, E8M0)
        if scheme.granularity.kind == "group" and apart and not self.static_groups:
            return FittedGroups(scheme, rule)
        return FixedGrids.of(W, scheme, rule)


@dataclass(frozen=True)
class Vectors:
    """Vectors of columns to codebooks: `algorithms.gptvq`; sites without one go to `scalars`."""

    reads_inputs: ClassVar[bool] = True
    iterations: int = 100
    updates: int = 25
    sweeps: int = 3
    damping: float = 0.01
    block: int = 128
    scalars: Greedy = field(default_factory=Greedy)

    def __call__(
        self,
        W: Float[Tensor, "out in"],
        scheme: TensorScheme,
        H: Float[Tensor, "in in"] | None,
    ) -> Rounded:
        """Round under the Hessian `H` of the layer's input."""
        if not isinstance(scheme.format, Codebook):
            return self.scalars(W, scheme, H)
        if H is None:
            raise ValueError("GPTVQ rounds by the layer's inputs: give it calibration data")
        codes, centroids, report = gptvq(
            W,
            H,
            scheme,
            iterations=self.iterations,
            updates=self.updates,
            sweeps=self.sweeps,
            block=self.block,
            damping=self.damping,
        )
        entry = {
            "output_error": relative_error(W, look_up_weight(codes, centroids, scheme), H),
            "codebooks": len(centroids.scale),
            "damping": report.damping,
            "attempts": report.attempts,
            "dead_columns": report.dead,
        }
        return Rounded(codes, centroids, entry)
