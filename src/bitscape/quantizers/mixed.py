"""Grids of weights whose rows differ in width."""

import torch
from jaxtyping import Float
from torch import Tensor

from bitscape.formats import Int, MixedInt
from bitscape.quantizers.affine import Grid
from bitscape.quantizers.ranges import RangeRule


def mixed_grid(grouped: Float[Tensor, "out group size"], fmt: MixedInt, rule: RangeRule) -> Grid:
    """`rule` on the rows of each width; for rows of one bit, +-a with a = mean |w|.

    That a is the one of least squared error for sign(w) a (Rastegari et al., "XNOR-Net",
    arXiv:1603.05279, eq. 6).
    """
    scale = torch.ones_like(grouped[..., :1])
    for width in sorted(set(fmt.widths)):
        rows = torch.tensor(fmt.rows(width), device=grouped.device)
        part = grouped[rows]
        if width == 1:
            smallest = torch.finfo(part.dtype).tiny
            scale[rows] = part.abs().mean(dim=-1, keepdim=True).clamp(min=smallest)
        else:
            scale[rows] = rule(part, Int(width), True).scale
    return Grid(scale)
