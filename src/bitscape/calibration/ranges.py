"""Samples of activations for each step, from which static ranges are fitted."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitscape.calibration.sampling import spread
from bitscape.files import SpilledList
from bitscape.structure import Site

PER_CALL = 4096


class StepSamples:
    """Values of a site's input at each step and input split: the extremes, and an even sample.

    A site without tokens that is called for many positions at once serves them all.
    """

    def __init__(self, site: Site, per_call: int = PER_CALL) -> None:
        self.site = site
        self.per_call = per_call
        self.kept = SpilledList()
        # For each position and split the places of what was kept.
        self.places: dict[int, list[list[int]]] = {}

    def update(
        self, u: Float[Tensor, "batch *token channel"], step: Int[Tensor, "batch1 token1"]
    ) -> None:
        """Take in the inputs of one call."""
        tokens = u if self.site.tokens else u[:, None]
        for position in step.unique().tolist():
            chosen = step == position
            if not self.site.tokens:
                chosen = chosen.any(dim=1, keepdim=True)
            self._take(position, tokens[chosen.expand(tokens.shape[:2])])

    def positions(self) -> list[int]:
        """The steps that were seen, ascending."""
        return sorted(self.places)

    def row(self, positions: list[int]) -> list[Float[Tensor, " value"]]:
        """The values seen at any of `positions`, one tensor for each input split."""
        rows = [self.places[position] for position in positions]
        splits = [[place for row in rows for place in row[i]] for i in range(len(rows[0]))]
        return [torch.cat([self.kept[place] for place in places]) for places in splits]

    def _take(self, position: int, rows: Float[Tensor, "row channel"]) -> None:
        splits = self.site.splits or (rows.shape[1],)
        # A row of a convolution holds every channel of a split once for each tap of its kernel.
        taps = rows.shape[1] // sum(splits)
        places = self.places.setdefault(position, [[] for _ in splits])
        parts = rows.float().split([width * taps for width in splits], dim=1)
        for mine, part in zip(places, parts, strict=True):
            flat = part.flatten()
            sample = flat[spread(len(flat), self.per_call, flat.device)]
            mine.append(len(self.kept))
            self.kept.append(torch.cat([torch.stack(flat.aminmax()), sample]).cpu())
