"""Two processes take the steps of one on the whole batch."""

import json
import multiprocessing
import socket
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed

from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.passes import Context, Distill, Imitation, Nearest, QuantizeWeights, Training, run
from bitscape.training import Ranks


def images(part: range) -> tuple[Tensor, Tensor]:
    """Noise in [-1, 1] with labels, the same for the same indices."""
    rows = [torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(i)) for i in part]
    return 2 * torch.stack(rows) - 1, torch.tensor([i % 10 for i in part])


def losses() -> list[float]:
    """The losses of a short distillation on four images a step."""
    torch.manual_seed(0)
    pipeline = FAMILIES["var"].tiny()
    for parameter in pipeline.network.parameters():
        parameter.data *= 4
    context = Context(parse_scheme("W2A16"), images=images)
    step = Distill(
        (QuantizeWeights(Nearest()),), Imitation(), Training(steps=4, batch=4, rate=2e-3)
    )
    run([step], pipeline, context)
    return [record["loss"] for record in context.report["training"]["log"]]


def member(rank: int, port: int, out: Path) -> None:
    """One of two processes; the first writes its losses."""
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    assert Ranks.current() == Ranks(rank, 2)
    found = losses()
    if rank == 0:
        out.write_text(json.dumps(found))
    distributed.destroy_process_group()


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = multiprocessing.get_context("spawn").Process
    pair = [start(target=member, args=(rank, port, tmp_path / "losses")) for rank in (0, 1)]
    for process in pair:
        process.start()
    alone = losses()
    for process in pair:
        process.join(timeout=300)
        assert process.exitcode == 0
    together = json.loads((tmp_path / "losses").read_text())
    assert together == pytest.approx(alone, rel=1e-5)
    assert alone[-1] != alone[0]


def test_a_batch_is_shared_out_in_order_and_evenly() -> None:
    assert [list(Ranks(rank, 2).share(range(6))) for rank in (0, 1)] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="a batch of 5 does not divide among 2"):
        Ranks(0, 2).share(range(5))
