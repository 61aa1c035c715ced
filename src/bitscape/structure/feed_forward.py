"""The feed-forward part of a transformer block, known by its type so that it can run as a whole."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Tokens = Float[Tensor, "batch token channel"]


class FeedForward(nn.Module):
    """fc2(gelu(fc1(x))); the Gaussian error linear unit in its tanh form, or exact with "none"."""

    def __init__(self, channels: int, hidden: int, approximate: str = "tanh") -> None:
        super().__init__()
        self.approximate = approximate
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tokens) -> Tokens:
        result: Tensor = self.fc2(functional.gelu(self.fc1(x), approximate=self.approximate))
        return result
