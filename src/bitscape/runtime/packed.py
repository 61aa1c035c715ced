"""What all packed modules have in common: they move between devices, never between dtypes."""

from collections.abc import Callable

from torch import Tensor, nn

from bitscape.nn import keep_dtype


class Packed(nn.Module):
    """A module whose buffers are laid out for one kernel; its outputs follow its inputs' dtype."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Packed":
        super()._apply(keep_dtype(fn), recurse)
        return self
