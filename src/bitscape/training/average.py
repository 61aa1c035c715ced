"""Averaged weights: what a run results in."""

import torch
from torch import Tensor, nn


class MovingAverage:
    """The exponential moving average of the trained parameters of a module.

    The decay rises as (1 + n) / (10 + n) up to `decay`: with a constant one the initial weights
    would still weigh a third after 1 / (1 - decay) steps. Sharded parameters have sharded averages,
    which torch's own averaged model, a deep copy, cannot have.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.count = torch.tensor(0)
        self._current = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self._average = {name: p.detach().clone() for name, p in self._current.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Move towards the parameters as they are now; the first time, all the way."""
        count = float(self.count)
        kept = min(self.decay, (1 + count) / (10 + count)) if count else 0.0
        for name, parameter in self._current.items():
            self._average[name].lerp_(parameter.detach(), 1 - kept)
        self.count += 1

    @torch.no_grad()
    def apply(self) -> None:
        """Give the parameters their averages."""
        for name, parameter in self._current.items():
            parameter.copy_(self._average[name])

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors themselves: what is copied into them is loaded."""
        averages = {f"module.{name}": average for name, average in self._average.items()}
        return {"n_averaged": self.count, **averages}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over the averages in `state`."""
        for name, tensor in self.state_dict().items():
            tensor.copy_(state[name])
