"""What layers in the normal form share: a float weight that may be edited until it is coded."""

from torch import nn

from bitscape.structure import Site


class Editable(nn.Module):
    """A layer whose `weight` is float, with a `delta` on it or none, until it has codes."""

    site: Site
    weight: nn.Parameter | None
    delta: nn.Parameter | None

    def _editable(self, method: str) -> nn.Parameter:
        """W; RuntimeError once it is coded, and as long as a delta belongs to its basis."""
        if self.weight is None:
            raise RuntimeError(
                f"{self.site.name} is already coded: call `{method}` before `set_codes`"
            )
        if self.delta is not None:
            raise RuntimeError(
                f"{self.site.name} holds a delta in its basis: remove it before `{method}`"
            )
        return self.weight
