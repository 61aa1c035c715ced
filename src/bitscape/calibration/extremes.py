"""The least and greatest value of each channel of a layer's input."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Extremes:
    """Running minimum and maximum of each channel, kept on the `device` of the inputs."""

    def __init__(self, width: int, device: torch.device | str) -> None:
        self.low = torch.full((width,), torch.inf, device=device)
        self.high = torch.full((width,), -torch.inf, device=device)

    def update(
        self, u: Float[Tensor, "batch *token channel"], step: Int[Tensor, "batch1 token1"]
    ) -> None:
        """Take in rows; the step does not matter."""
        del step
        low, high = u.reshape(-1, u.shape[-1]).float().aminmax(dim=0)
        self.low = torch.minimum(self.low, low)
        self.high = torch.maximum(self.high, high)
