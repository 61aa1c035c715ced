"""The training loop: exact resumption, schedule, averages and divergence."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bitscape.training import Plan, Run, adamw, muon, train


class Regression:
    """Fit a fixed linear map; the batch of a step derives from its number."""

    def __init__(self, fail_at: int | None = None, nan_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        self.fail_at, self.nan_at = fail_at, nan_at

    def losses(self, step: int) -> Mapping[str, Tensor]:
        if step == self.fail_at:
            raise KeyboardInterrupt
        x = torch.randn(32, 4, generator=torch.Generator().manual_seed(step))
        loss = (self.module(x) - x[:, :2]).square().mean()
        return {"loss": loss * torch.nan if step == self.nan_at else loss}


def fit(task: Regression, folder: Path, plan: Plan) -> dict[str, Tensor]:
    return train(task, adamw(task.module, 1e-2), plan, Run(folder)).state_dict()


def logged(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    plan = Plan(steps=40, warmup=5, log_every=10, save_seconds=-1)
    straight = fit(Regression(), tmp_path / "straight", plan)
    with pytest.raises(KeyboardInterrupt):
        fit(Regression(fail_at=25), tmp_path / "killed", plan)
    resumed = fit(Regression(), tmp_path / "killed", plan)
    for name, tensor in straight.items():
        assert torch.equal(resumed[name], tensor)


def test_the_loss_falls_and_is_logged(tmp_path: Path) -> None:
    fit(Regression(), tmp_path, Plan(steps=200, warmup=5, log_every=20))
    lines = logged(tmp_path)
    assert [line["step"] for line in lines] == list(range(20, 201, 20))
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]


def test_a_loss_that_is_not_finite_stops_the_run_at_its_step(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="step 4"):
        fit(Regression(nan_at=3), tmp_path, Plan(steps=10))


def test_the_rate_rises_stays_and_falls() -> None:
    plan = Plan(steps=100, warmup=10, decay=0.2)
    assert plan.factor(0) == pytest.approx(0.1)
    assert plan.factor(50) == 1
    assert plan.factor(90) == pytest.approx(0.5)
    assert plan.factor(99) < 0.06


def test_muon_and_adamw_share_the_parameters_between_them() -> None:
    module = Regression().module
    matrices = [p for p in module.parameters() if p.ndim == 2]
    optimizers = muon(module, matrices, 1e-3)
    held = [p for o in optimizers for g in o.param_groups for p in g["params"]]
    assert {id(p) for p in held} == {id(p) for p in module.parameters()}
    assert len(held) == len(list(module.parameters()))


def test_a_broken_layer_is_named(tmp_path: Path) -> None:
    task = Regression()
    broken = task.module[2]
    assert isinstance(broken, nn.Linear)
    nn.init.constant_(broken.bias, torch.nan)
    with pytest.raises(FloatingPointError, match="step 1, first in 2"):
        fit(task, tmp_path, Plan(steps=10))


def test_a_run_that_leaves_its_start_far_behind_is_stopped(tmp_path: Path) -> None:
    task = Regression()
    with pytest.raises(FloatingPointError, match=r"diverges: loss is .* step \d+, .* gradient"):
        plan = Plan(steps=500, warmup=0, clip=1e9, log_every=1, diverged=10.0)
        train(task, [torch.optim.SGD(task.module.parameters(), lr=1e3)], plan, Run(tmp_path))


def test_half_a_cosine_falls_slowly_at_both_ends() -> None:
    plan = Plan(steps=100, warmup=0, decay=1.0, fall="cosine")
    factors = [plan.factor(step) for step in range(100)]
    assert factors == sorted(factors, reverse=True)
    assert factors[50] == pytest.approx(0.5)
    assert 1 - factors[5] < 0.01
    assert factors[95] < 0.01


def test_a_time_limit_ends_the_fall_of_the_rate_with_the_run(tmp_path: Path) -> None:
    plan = Plan(steps=10**9, warmup=0, decay=1.0, log_every=10**6, seconds=0.3)
    assert plan.factor(5, elapsed=0.15) == pytest.approx(0.5)
    fit(Regression(), tmp_path, plan)
    (line,) = logged(tmp_path)
    assert 1 <= line["step"] < 10**6
    assert (tmp_path / "state.pt").is_file()


def test_a_resumed_log_has_each_step_once(tmp_path: Path) -> None:
    plan = Plan(steps=40, warmup=5, log_every=5, save_seconds=1e9)
    with pytest.raises(KeyboardInterrupt):
        fit(Regression(fail_at=25), tmp_path, plan)
    fit(Regression(), tmp_path, plan)
    assert [line["step"] for line in logged(tmp_path)] == list(range(5, 41, 5))


def test_a_run_killed_between_two_lines_of_the_log_loses_nothing(tmp_path: Path) -> None:
    plan = Plan(steps=40, warmup=5, log_every=20, save_seconds=-1)
    straight = fit(Regression(), tmp_path / "straight", plan)
    with pytest.raises(KeyboardInterrupt):
        fit(Regression(fail_at=33), tmp_path / "killed", plan)
    assert torch.load(tmp_path / "killed" / "state.pt", weights_only=True)["step"] == 33
    resumed = fit(Regression(), tmp_path / "killed", plan)
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)
    ours, theirs = logged(tmp_path / "killed"), logged(tmp_path / "straight")
    assert [line["loss"] for line in ours] == [line["loss"] for line in theirs]


def test_a_finished_run_takes_no_further_step(tmp_path: Path) -> None:
    plan = Plan(steps=10**9, log_every=10**6, save_seconds=-1, seconds=0.1)
    finished = {name: t.clone() for name, t in fit(Regression(), tmp_path, plan).items()}
    again = fit(Regression(fail_at=0), tmp_path, plan)
    assert all(torch.equal(again[name], finished[name]) for name in finished)


def test_a_line_that_was_not_ended_is_dropped(tmp_path: Path) -> None:
    plan = Plan(steps=20, log_every=5, save_seconds=-1)
    with pytest.raises(KeyboardInterrupt):
        fit(Regression(fail_at=12), tmp_path, plan)
    log = tmp_path / "log.jsonl"
    log.write_text(log.read_text() + '{"step": 1')
    fit(Regression(), tmp_path, plan)
    assert [line["step"] for line in logged(tmp_path)] == [5, 10, 15, 20]


def test_a_run_that_leaves_its_start_behind_warns_before_it_is_stopped(tmp_path: Path) -> None:
    class Growing(Regression):
        def losses(self, step: int) -> Mapping[str, Tensor]:
            loss = super().losses(step)["loss"]
            return {"loss": loss, "watched": torch.tensor(1.5**step)}

    plan = Plan(steps=40, log_every=1, watched="watched", diverged=10.0)
    with (
        pytest.warns(UserWarning, match="may diverge: watched is 3.38 at step 4, 1 at") as told,
        pytest.raises(FloatingPointError, match="diverges: watched is 11.4 at step 7, 1 at"),
    ):
        fit(Growing(), tmp_path, plan)
    assert len(told) == 1


def test_muon_trains_a_kernel_as_its_matrix() -> None:
    x = torch.randn(8, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    conv, linear = nn.Conv2d(3, 6, 2, bias=False), nn.Linear(12, 6, bias=False)
    linear.load_state_dict({"weight": conv.weight.detach().flatten(1)})
    windows = functional.unfold(x, 2).transpose(1, 2)
    for module, given in ((conv, x), (linear, windows)):
        [optimizer, _] = muon(module, [module.weight], 1e-2)
        for _ in range(3):
            optimizer.zero_grad()
            module(given).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(conv.weight.flatten(1), linear.weight, rtol=1e-4, atol=1e-5)
