"""Two processes take the steps of one on the whole batch, each with all parameters or a part."""

import copy
import json
import multiprocessing
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn

from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.passes import (
    Context,
    Distill,
    Imitation,
    Nearest,
    Pace,
    QuantizeWeights,
    Training,
    run,
)
from bitscape.training import Ranks, muon, process_group, whole


def images(part: range) -> tuple[Tensor, Tensor]:
    """Noise in [-1, 1] with labels, the same for the same indices."""
    rows = [torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(i)) for i in part]
    return 2 * torch.stack(rows) - 1, torch.tensor([i % 10 for i in part])


def distilled(family: str = "var", **words: Any) -> tuple[list[float], Mapping[str, Tensor]]:
    """The losses of a short distillation on four images a step, and what came out."""
    torch.manual_seed(0)
    # Copied as for any distillation: copies, sharded or not, have no hooks on parameters.
    pipeline = copy.deepcopy(FAMILIES[family].tiny())
    for parameter in pipeline.network.parameters():
        parameter.data *= 4
    context = Context(parse_scheme("W2A16"), images=images, **words)
    step = Distill(
        (QuantizeWeights(Nearest()),), Imitation(), Training(steps=4, batch=4, rate=2e-3)
    )
    run([step], pipeline, context)
    log = context.report["training"]["log"]
    return [record["loss"] for record in log], pipeline.network.state_dict()


def killed(text: str, done: int, total: int) -> None:
    """Progress that ends the run behind its third step, the state of the second being saved."""
    if text == "distilling" and done == 3:
        raise KeyboardInterrupt


def with_muon(*, sharded: bool) -> dict[str, Tensor]:
    """A kernel and a matrix after two steps of Muon."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 5, 2), nn.Flatten(), nn.Linear(20, 4))
    if sharded:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        fully_shard(module, mesh=init_device_mesh("cpu", (2,))).set_force_sum_reduction_for_comms(
            True
        )
    optimizers = muon(module, [p for p in module.parameters() if p.ndim > 1], 1e-2)
    for step in range(2):
        x = torch.randn(16, 3, 3, 3, generator=torch.Generator().manual_seed(step))
        module(x).square().sum().backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        module.zero_grad()
    return {name: whole(p.detach()) for name, p in module.named_parameters()}


def member(rank: int, port: int, out: Path) -> None:
    """One of two processes; the first writes what came out."""
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    assert Ranks.current() == Ranks(rank, 2)
    often = Pace(save_seconds=-1, shard=True)
    results = {"copies": distilled(), "parts": distilled(pace=Pace(shard=True))}
    results["continuous"] = distilled("dit")
    try:
        distilled(pace=often, workspace=out / "work", progress=killed)
    except KeyboardInterrupt:
        distributed.barrier()
    if rank == 0:
        shutil.copytree(out / "work", out / "killed")
    results["resumed"] = distilled(pace=often, workspace=out / "work")
    found = with_muon(sharded=True)
    if rank == 0:
        (out / "losses").write_text(json.dumps({name: r[0] for name, r in results.items()}))
        torch.save({name: r[1] for name, r in results.items()} | {"muon": found}, out / "networks")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes wrote."""
    out = tmp_path_factory.mktemp("pair")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = multiprocessing.get_context("spawn").Process
    both = [start(target=member, args=(rank, port, out)) for rank in (0, 1)]
    for process in both:
        process.start()
    for process in both:
        process.join(timeout=1200)
        assert process.exitcode == 0
    return out


def test_two_processes_take_the_steps_of_one(pair: Path) -> None:
    alone, _ = distilled()
    assert alone[-1] != alone[0]
    together = json.loads((pair / "losses").read_text())
    assert together["copies"] == pytest.approx(alone, rel=1e-5)
    assert together["parts"] == pytest.approx(alone, rel=1e-5)


def test_a_prediction_is_imitated_the_same_in_shares(pair: Path) -> None:
    alone, _ = distilled("dit")
    together = json.loads((pair / "losses").read_text())
    assert together["continuous"] == pytest.approx(alone, rel=1e-5)


def test_a_killed_sharded_run_resumes_to_the_same_bits(pair: Path) -> None:
    losses = json.loads((pair / "losses").read_text())
    assert losses["resumed"] == losses["parts"]
    networks = torch.load(pair / "networks", weights_only=True)
    resumed, straight = networks["resumed"], networks["parts"]
    assert resumed.keys() == straight.keys()
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)


def test_what_two_sharded_processes_saved_one_takes_up(pair: Path, tmp_path: Path) -> None:
    shutil.copytree(pair / "killed", tmp_path / "work")
    assert (tmp_path / "work" / "training" / "state-2" / ".metadata").is_file()
    losses, _ = distilled(workspace=tmp_path / "work")
    straight = json.loads((pair / "losses").read_text())["parts"]
    assert losses == pytest.approx(straight, rel=1e-5)
    assert [path.name for path in (tmp_path / "work" / "training").glob("state*")] == ["state.pt"]


def test_muon_steps_the_same_in_parts(pair: Path) -> None:
    parts = torch.load(pair / "networks", weights_only=True)["muon"]
    torch.testing.assert_close(parts, with_muon(sharded=False), rtol=0, atol=1e-3)


def test_a_batch_is_shared_out_in_order_and_evenly() -> None:
    assert [list(Ranks(rank, 2).share(range(6))) for rank in (0, 1)] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="a batch of 5 does not divide among 2"):
        Ranks(0, 2).share(range(5))


def test_a_process_on_its_own_joins_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    with process_group("cpu") as joined:
        assert joined == ("cpu", True) and Ranks.current() == Ranks()
    assert not distributed.is_initialized()


def test_a_started_process_joins_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Joining and leaving are only noted: the other process does not exist."""
    words: list[str] = []

    def join(backend: str) -> None:
        words.append(backend)

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(distributed, "init_process_group", join)
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: words.append("left"))
    monkeypatch.setattr(Ranks, "current", lambda: Ranks(rank=1, count=2))
    with process_group("cpu") as joined:
        assert joined == ("cpu", False)
    assert words == ["gloo", "left"]
