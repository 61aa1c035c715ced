"""Feed-forward parts whose hidden tokens stay in 8 bits between their two products.

The hidden tokens are the widest of a block. oneDNN applies GELU and rounds to the second layer's
grid while a sum is still in its registers, so that they are written once, a byte each, in place of
four passes over floats.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bitscape.runtime.int8 import OnednnLinear
from bitscape.runtime.rounding import Rounded, StaticRounder
from bitscape.structure import FeedForward

Tokens = Float[Tensor, "batch token channel"]


class FusedFeedForward(nn.Module):
    """fc2(gelu(fc1(x))) of two layers with static ranges; `fuse` says which."""

    def __init__(self, fc1: OnednnLinear, fc2: OnednnLinear, approximate: str) -> None:
        super().__init__()
        self.fc1, self.fc2, self.approximate = fc1, fc2, approximate

    def forward(self, x: Tokens) -> Tokens:
        """What the two layers compute one after the other, but for ties of rounding."""
        grids = [_static(layer).shared_grid() for layer in (self.fc1, self.fc2)]
        if grids[0] is None or grids[1] is None:
            # Tokens of several steps in one call, each on a grid of its own.
            y: Tensor = self.fc2(functional.gelu(self.fc1(x), approximate=self.approximate))
            return y
        scale, zero = grids[1]
        codes = self.fc1.rounded_gelu(self.fc1.rounder(x), self.approximate, scale, zero)
        if self.fc2.correction:
            codes = functional.pad(codes, (0, self.fc2.correction), value=zero)
        return self.fc2.product(Rounded(codes, scale, zero), x.dtype).view(*x.shape[:-1], -1)


def fuse(network: nn.Module) -> None:
    """Run every feed-forward part as a whole, in place, whose packed layers allow it.

    Both run in oneDNN on static ranges, and the second reads what GELU gives as it is: a prologue
    would stand in between, and codes of fewer than 8 bits end before a byte does.
    """
    parts = [(name, m) for name, m in network.named_modules() if isinstance(m, FeedForward)]
    for name, part in parts:
        fc1: nn.Module = part.fc1
        fc2: nn.Module = part.fc2
        if not (isinstance(fc1, OnednnLinear) and isinstance(fc2, OnednnLinear)):
            continue
        if fc1.static and fc2.static and _static(fc2).fills_bytes:
            network.set_submodule(name, FusedFeedForward(fc1, fc2, part.approximate))


def _static(layer: OnednnLinear) -> StaticRounder:
    assert isinstance(layer.rounder, StaticRounder)
    return layer.rounder
