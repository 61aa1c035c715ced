"""Learnt tables: mixed steps in one call, and only the rows that were read move."""

import pytest
import torch

from bitscape.formats import parse_scheme
from bitscape.nn import ActivationQuantizer
from bitscape.passes.learned_table import LearnedTable
from bitscape.structure import StepClock
from bitscape.training import LazyAdam

SCHEME = parse_scheme("W4A4,static").default.activation
ROWS = torch.tensor([0, 0, 1, 2, 2, 3])


def quantizer(**options: object) -> ActivationQuantizer:
    assert SCHEME is not None
    found = ActivationQuantizer(SCHEME, StepClock(), **options)  # type: ignore[arg-type]
    columns = max(1, len(found.splits))
    scale = torch.linspace(0.1, 0.4, 4 * columns).view(4, columns)
    found.set_table(scale, torch.full((4, columns), 7.0), ROWS)
    return found


def inputs(batch: int = 3) -> torch.Tensor:
    return torch.randn(batch, 5, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("splits", [(), (3, 5)], ids=["whole", "split"])
def test_mixed_steps_are_rounded_as_one_by_one(splits: tuple[int, ...]) -> None:
    table = LearnedTable(quantizer(splits=splits))
    with torch.no_grad():
        table.growth.copy_(torch.linspace(-0.2, 0.2, table.growth.numel()).view_as(table.growth))
        assert table.shift is not None
        table.shift.copy_(table.growth)
    x, steps = inputs(6), torch.arange(6)[:, None]
    table.clock.set(steps)
    together = table(x)
    for i in range(6):
        table.clock.set(steps[i : i + 1])
        torch.testing.assert_close(table(x[i : i + 1]), together[i : i + 1])


def test_a_fresh_one_rounds_as_its_quantizer() -> None:
    plain = quantizer()
    plain.clock.set(torch.tensor([[0], [3], [5]]))
    torch.testing.assert_close(LearnedTable(plain)(inputs()), plain(inputs()))


def test_only_the_rows_of_the_batch_move() -> None:
    table = LearnedTable(quantizer())
    optimizer = LazyAdam(table.parameters(), lr=0.01)
    for steps, rows in (([0, 2, 2], {0, 1}), ([3, 3, 4], {2}), ([5, 2, 5], {1, 3})):
        before = [t.detach().clone() for t in table.table() if t is not None]
        growth = table.growth.detach().clone()
        table.clock.set(torch.tensor(steps)[:, None])
        optimizer.zero_grad()
        (table(3 * inputs()) - inputs()).square().mean().backward()
        optimizer.step()
        moved = (table.growth != growth).flatten().nonzero().flatten().tolist()
        assert set(moved) == rows
        after = [t.detach() for t in table.table() if t is not None]
        still = [row for row in range(4) if row not in rows]
        assert all(torch.equal(a[still], b[still]) for a, b in zip(after, before, strict=True))


def test_zero_points_stay_integers_of_the_format() -> None:
    table = LearnedTable(quantizer())
    assert table.shift is not None
    for value in (0.123, 5.0, -5.0):
        with torch.no_grad():
            table.shift.fill_(value)
        zero = table.table()[1]
        assert zero is not None
        assert torch.equal(zero, zero.round())
        assert bool(((zero >= 0) & (zero <= 15)).all())
