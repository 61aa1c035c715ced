"""Activation tables that are learnt: a scale and a zero point for each row of the table.

Liu et al., "DilateQuant", arXiv:2409.14307, eq. 13 and 14: every sample of a batch is rounded by
the row of its own step, so that one batch of mixed steps trains many rows at once.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bitscape.nn import ActivationQuantizer
from bitscape.quantizers import lsq_quantize


class LearnedTable(ActivationQuantizer):
    """Stands in for a static activation quantizer while its table is learnt.

    x^ = s (clip(round(x / s) + round(z), q_min, q_max) - round(z)) with the row of the sample's
    step; the gradient of s is that of LSQ, and passes through the rounding of z. Both are learnt
    in relative terms, s = s_0 exp(a) and z = z_0 + (q_max - q_min) b, so that one rate suits all.
    """

    shift: nn.Parameter | None

    def __init__(self, quantizer: ActivationQuantizer) -> None:
        super().__init__(
            quantizer.scheme, quantizer.clock, tokens=quantizer.tokens, splits=quantizer.splits
        )
        assert quantizer.table_scale is not None
        self.set_table(quantizer.table_scale, quantizer.table_zero, quantizer.row_of)
        self.growth = nn.Parameter(torch.zeros_like(quantizer.table_scale))
        zero = quantizer.table_zero
        shift = None if zero is None else nn.Parameter(torch.zeros_like(zero))
        self.register_parameter("shift", shift)

    def forward(self, u: Float[Tensor, "*batch channel"]) -> Float[Tensor, "*batch channel"]:
        """`u` rounded by the rows of the clock's position."""
        grid = self.grid_in(u, *self.table())
        return lsq_quantize(u, grid.scale, grid.zero, self.scheme.format)

    def table(self) -> tuple[Tensor, Tensor | None]:
        """Scales and integer zero points as they are now, differentiable."""
        assert self.table_scale is not None
        scale = self.table_scale * self.growth.exp()
        if self.table_zero is None or self.shift is None:
            return scale, None
        fmt = self.scheme.format
        zero = self.table_zero + (fmt.highest - fmt.lowest) * self.shift
        nearest = zero.detach().round().clamp(fmt.lowest, fmt.highest)
        return scale, nearest + (zero - zero.detach())
