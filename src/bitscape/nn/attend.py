"""Attention whose products are quantized: queries, keys, values and probabilities on own grids."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bitscape.formats import TensorScheme
from bitscape.nn.activation import ActivationQuantizer
from bitscape.nn.coded import keep_dtype
from bitscape.quantizers import (
    Grid,
    Probabilities,
    dynamic_grid,
    fake_quantize,
    round_probabilities,
)
from bitscape.structure import Attend, Cache, Site, StepClock

Heads = Float[Tensor, "batch head token channel"]
Kept = Float[Tensor, "batch head kept channel"]


class HeadQuantizer(nn.Module):
    """Rounds on one static grid for each head."""

    grid_scale: Tensor
    grid_zero: Tensor | None

    def __init__(self, scheme: TensorScheme, grid: Grid) -> None:
        super().__init__()
        self.scheme = scheme
        self.register_buffer("grid_scale", grid.scale.view(-1, 1, 1))
        self.register_buffer("grid_zero", None if grid.zero is None else grid.zero.view(-1, 1, 1))

    @property
    def grid(self) -> Grid:
        """Scale and zero of each head, shape (head, 1, 1)."""
        return Grid(self.grid_scale, self.grid_zero)

    def forward(self, x: Heads) -> Heads:
        """`x` rounded."""
        # The batch axis of the grid is that of `x`'s rank.
        grid = Grid(self.grid_scale[None], None if self.grid_zero is None else self.grid_zero[None])
        return fake_quantize(x, grid, self.scheme.format)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "HeadQuantizer":
        super()._apply(keep_dtype(fn), recurse)
        return self


class QuantAttend(nn.Module):
    """`Attend` with its operands rounded; a fresh one rounds nothing.

    Queries, keys and values have a dynamic grid for each head and token, or a static one for each
    head. Keys and values are rounded before they enter the cache and never again. Probabilities are
    rounded after the softmax where `probabilities` says how, in as many bits as the values.

    `shift_and_sum` writes each value as the mean of two codes, of v + step / 4 and v - step / 4 on
    one grid, which halves the step for a second product of the same width ("Shift-and-Sum
    Quantization for Visual Autoregressive Models"). The cache then holds both codes.
    """

    q: ActivationQuantizer | HeadQuantizer | None
    k: ActivationQuantizer | HeadQuantizer | None
    v: ActivationQuantizer | HeadQuantizer | None

    def __init__(self, site: Site, clock: StepClock) -> None:
        super().__init__()
        self.site = site
        self.clock = clock
        self.attend = Attend()
        self.probabilities: Probabilities | None = None
        self.shift_and_sum = False
        for name in ("q", "k", "v"):
            self.register_module(name, None)

    @classmethod
    def of(cls, attend: Attend, site: Site, clock: StepClock) -> "QuantAttend":
        """The quantizable twin of `attend`, which has no parameters of its own."""
        del attend
        return cls(site, clock)

    def quantize(
        self,
        scheme: TensorScheme,
        *,
        grids: tuple[Grid, Grid, Grid] | None = None,
        probabilities: Probabilities | None = None,
        shift_and_sum: bool = False,
    ) -> None:
        """Round q, k and v by `scheme`; a static one needs the `grids` of every head."""
        if scheme.dynamic == (grids is not None):
            raise ValueError(
                f"attention needs a dynamic scheme, or a grid for each head ({self.site.name}), "
                f"got {scheme}"
            )
        if grids is None:
            made = [ActivationQuantizer(scheme, self.clock) for _ in range(3)]
            self.q, self.k, self.v = made
        else:
            self.q, self.k, self.v = (HeadQuantizer(scheme, grid) for grid in grids)
        self.probabilities = probabilities
        self.shift_and_sum = shift_and_sum

    def forward(
        self,
        q: Heads,
        k: Kept,
        v: Kept,
        *,
        scale: float,
        mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Heads:
        """The attended values, shape (batch, head, query token, channel)."""
        q = q if self.q is None else self.q(q)
        k = k if self.k is None else self.k(k)
        v = v if self.v is None else self._values(v, self.v)
        if self.probabilities is None:
            attended: Heads = self.attend(q, k, v, scale=scale, mask=mask, cache=cache)
            return attended
        if cache is not None:
            k, v = cache.append(k, v)
        scores = scale * q @ k.transpose(-2, -1)
        if mask is not None:
            hidden = mask.dtype == torch.bool
            scores = scores.masked_fill(~mask, -torch.inf) if hidden else scores + mask
        bits = 8 if self.v is None else self.v.scheme.format.code_bits
        return round_probabilities(scores.softmax(dim=-1), self.probabilities, bits) @ v

    def _values(self, v: Heads, quantizer: ActivationQuantizer | HeadQuantizer) -> Heads:
        if not self.shift_and_sum:
            rounded: Heads = quantizer(v)
            return rounded
        if isinstance(quantizer, HeadQuantizer):
            grid = quantizer.grid
        else:
            grid = dynamic_grid(v, quantizer.scheme)
        # Grids of heads have one axis less than `v`.
        wide = Grid(grid.scale.expand(v.shape[0], -1, -1, -1), _expanded(grid.zero, v.shape[0]))
        quarter, fmt = wide.scale / 4, quantizer.scheme.format
        above, below = fake_quantize(v + quarter, wide, fmt), fake_quantize(v - quarter, wide, fmt)
        return (above + below) / 2


def _expanded(zero: Tensor | None, batch: int) -> Tensor | None:
    return None if zero is None else zero.expand(batch, -1, -1, -1)
