"""Rows of a site's input as a sample that stands for all of them, and every channel's extremes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from bitscape.calibration.sampling import spread
from bitscape.files import SpilledList
from bitscape.structure import Site

PER_CALL = 256


@dataclass(frozen=True)
class Rows:
    """Sampled rows X with their positions on the trajectory; a row stands for `weights` rows.

    `low`, `high` and `mean_abs` are of all rows that were seen, the first two for each of the
    `seen` positions.
    """

    X: Float[Tensor, "row channel"]
    positions: Int64[Tensor, " row"]
    weights: Float[Tensor, " row"]
    seen: Int64[Tensor, " position"]
    low: Float[Tensor, "position channel"]
    high: Float[Tensor, "position channel"]
    mean_abs: Float[Tensor, " channel"]

    @property
    def max_abs(self) -> Float[Tensor, " channel"]:
        """The largest magnitude of each channel."""
        return torch.maximum(-self.low, self.high).amax(dim=0)

    def after(self, first: int) -> "Rows":
        """The rows at positions from `first` on; all of them when there are none."""
        kept, at = self.positions >= first, self.seen >= first
        if not bool(kept.any()):
            return self
        return Rows(
            self.X[kept],
            self.positions[kept],
            self.weights[kept],
            self.seen[at],
            self.low[at],
            self.high[at],
            self.mean_abs,
        )


class RowSamples:
    """Keeps up to `limit` rows of a site's input, spread evenly over calls and positions.

    A position with few rows keeps at least one a call, with a weight that makes up for it.
    """

    def __init__(self, site: Site, limit: int = 1024, per_call: int = PER_CALL) -> None:
        self.site = site
        self.limit = limit
        self.per_call = per_call
        self.kept = SpilledList()
        self.marks: list[tuple[Tensor, Tensor]] = []
        self.extremes: dict[int, tuple[Tensor, Tensor]] = {}
        self.total: Tensor | None = None
        self.count = 0

    def update(
        self, u: Float[Tensor, "batch *token channel"], step: Int[Tensor, "batch1 token1"]
    ) -> None:
        """Take in the inputs of one call."""
        tokens = (u if self.site.tokens else u[:, None]).float()
        # A vector that conditions a whole sequence lies at no one position of it.
        step = step if self.site.tokens or step.shape[1] == 1 else step[:, :1]
        at = step.to(tokens.device).expand(tokens.shape[:2])
        total = tokens.abs().sum(dim=(0, 1))
        self.total = total if self.total is None else self.total + total
        self.count += tokens.shape[0] * tokens.shape[1]
        positions = at.unique().tolist()
        share = max(1, self.per_call // len(positions))
        for position in positions:
            self._take(position, tokens[at == position], share)

    def rows(self) -> Rows:
        """The sample; ValueError when no call reached the site."""
        if self.total is None:
            raise ValueError(
                f"{self.site.name} is never reached by the calibration calls: record others"
            )
        positions, weights = (torch.cat(parts) for parts in zip(*self.marks, strict=True))
        # Sorted first, so that the rows are spread over the positions.
        places = spread(len(positions), self.limit, positions.device)
        order = positions.argsort(stable=True)[places]
        X = _gathered(self.kept, order)
        seen = sorted(self.extremes)
        low, high = (torch.stack([self.extremes[p][end] for p in seen]) for end in (0, 1))
        return Rows(
            X,
            positions[order],
            weights[order] * weights.sum() / weights[order].sum(),
            torch.tensor(seen, device=X.device),
            low,
            high,
            self.total / self.count,
        )

    def _take(self, position: int, rows: Float[Tensor, "row channel"], share: int) -> None:
        low, high = rows.aminmax(dim=0)
        if position in self.extremes:
            before = self.extremes[position]
            low, high = torch.minimum(low, before[0]), torch.maximum(high, before[1])
        self.extremes[position] = low, high
        chosen = rows[spread(len(rows), share, rows.device)]
        weights = torch.full((len(chosen),), len(rows) / len(chosen), device=rows.device)
        where = torch.full((len(chosen),), position, device=rows.device)
        self.kept.append(chosen)
        self.marks.append((where, weights))


def _gathered(
    parts: Sequence[Float[Tensor, "_ channel"]], order: Int64[Tensor, " row"]
) -> Float[Tensor, "row channel"]:
    """The rows `order` of all `parts` behind one another, which are never put together."""
    lengths = torch.tensor([len(part) for part in parts], device=order.device)
    ends = lengths.cumsum(dim=0)
    holders = torch.searchsorted(ends, order, right=True)
    X = parts[0].new_empty(len(order), parts[0].shape[1])
    for number in holders.unique().tolist():
        mine = holders == number
        X[mine] = parts[number][order[mine] - (ends - lengths)[number]]
    return X
