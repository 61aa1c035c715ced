"""Random streams, one per image, so that an image depends on its seed and index alone.

With a single generator a batch, image 7 would change with the batch size, shards could not resume,
and a quantized model could not share its draws with full precision.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


class Randomness:
    """Draws for images `indices` of the run `seed`; row i of each draw is image `indices[i]`'s.

    Numbers are drawn on the CPU, so that every device sees the same ones, and moved to `device`.
    """

    def __init__(
        self, seed: int, indices: Sequence[int], device: torch.device | str = "cpu"
    ) -> None:
        self.device = device
        self.generators = [_generator(seed, index) for index in indices]

    def __len__(self) -> int:
        return len(self.generators)

    def normal(self, *shape: int) -> Float[Tensor, " batch *shape"]:
        """Standard normal noise, shape (batch, *shape)."""
        draws = [torch.randn(shape, generator=g) for g in self.generators]
        return torch.stack(draws).to(self.device)

    def gumbel(self, *shape: int) -> Float[Tensor, " batch *shape"]:
        """Standard Gumbel noise, -log(Exponential(1)), shape (batch, *shape)."""
        draws = [torch.rand(shape, dtype=torch.float64, generator=g) for g in self.generators]
        # `exponential_` gives these very numbers, one at a time and three times slower.
        exponential = torch.stack(draws).neg_().log1p_().neg_().float()
        return exponential.log_().neg_().to(self.device)

    def integers(self, high: int, *shape: int) -> Int[Tensor, " batch *shape"]:
        """Integers in [0, high), shape (batch, *shape): one a row when no shape is given."""
        draws = [torch.randint(high, (1, *shape), generator=g) for g in self.generators]
        return torch.cat(draws).to(self.device)

    def permutations(self, length: int) -> Int[Tensor, "batch length"]:
        """The numbers 0 to `length` - 1 in an order of its own for each row."""
        draws = [torch.randperm(length, generator=g) for g in self.generators]
        return torch.stack(draws).to(self.device)


def _generator(seed: int, index: int) -> torch.Generator:
    state = np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0]
    # torch seeds are signed 64-bit; the top bit is dropped so that no seed is negative.
    return torch.Generator().manual_seed(int(state) >> 1)
