"""What layers in the normal form share: a float weight that may be edited until it is coded."""

import torch
from torch import nn

from bitscape.structure import Site


class Editable(nn.Module):
    """A layer whose `weight` is float, with a learned `delta` or none, until it has codes."""

    site: Site
    weight: nn.Parameter | None
    delta: nn.Parameter | None

    @torch.no_grad()
    def bake(self) -> None:
        """Merge the learned delta into W, exactly."""
        weight = self._floating("bake")
        if self.delta is not None:
            weight.add_(self.delta)
            self.delta = None

    def _floating(self, method: str) -> nn.Parameter:
        """W; RuntimeError once it is coded."""
        if self.weight is None:
            raise RuntimeError(
                f"{self.site.name} is already coded: call `{method}` before `set_codes`"
            )
        return self.weight

    def _editable(self, method: str) -> nn.Parameter:
        """W; RuntimeError once it is coded, and as long as a delta belongs to its basis."""
        weight = self._floating(method)
        if self.delta is not None:
            raise RuntimeError(
                f"{self.site.name} holds a learned delta: call `bake` before `{method}`"
            )
        return weight
