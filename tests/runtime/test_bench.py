import time

import torch
from torch import nn

from bitscape.runtime import FLOATS, compare, describe_machine, time_block
from bitscape.structure import Role


def test_latency_is_what_the_call_takes() -> None:
    latency = compare({"sleep": lambda: time.sleep(0.005)}, seconds=0.05)["sleep"]
    assert 5.0 <= latency.p10 <= latency.median <= latency.p90
    assert latency.runs >= 3


def test_candidates_take_turns() -> None:
    order: list[str] = []
    compare({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, seconds=0, warmup=0)
    assert order == ["a", "b"] * 3


def test_machine_is_described() -> None:
    assert {"processor", "threads", "torch"} <= set(describe_machine())


def test_block_is_timed_in_every_variant_and_left_alone() -> None:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 64))
    before = [parameter.clone() for parameter in block.parameters()]
    roles = {"0": Role.FC1, "2": Role.FC2}
    rows = time_block(block, [torch.randn(2, 8, 64)], roles=roles, seconds=0.01)
    assert [row.variant for row in rows][:2] == list(FLOATS)
    assert all(row.latency.median > 0 for row in rows)
    assert {row.variant: row.resident_bytes for row in rows}["bf16"] * 2 == rows[0].resident_bytes
    assert all(torch.equal(a, b) for a, b in zip(before, block.parameters(), strict=True))
