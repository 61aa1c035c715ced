"""The training loop: exact resumption, schedule, averages and divergence."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bitscape.training import Plan, Run, adamw, train


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


def test_the_result_is_the_average_of_the_steps(tmp_path: Path) -> None:
    task, steps = Regression(), []
    [optimizer] = adamw(task.module, 1e-2)
    optimizer.register_step_post_hook(
        lambda *_: steps.append([p.detach().clone() for p in task.module.parameters()])
    )
    train(task, [optimizer], Plan(steps=2, warmup=0, average=0.5), Run(tmp_path))
    for found, first, second in zip(task.module.parameters(), *steps, strict=True):
        # The second average keeps the share (1 + 1) / (10 + 1) of the first.
        torch.testing.assert_close(found.detach(), (2 * first + 9 * second) / 11)


@pytest.mark.parametrize("clip", [1e-3, 1e9], ids=["clipped", "free"])
def test_a_step_follows_the_gradient_up_to_the_clip(tmp_path: Path, clip: float) -> None:
    task = Regression()
    before = nn.utils.parameters_to_vector(task.module.parameters()).detach()
    task.losses(0)["loss"].backward()
    gradient = torch.cat([p.grad.flatten() for p in task.module.parameters() if p.grad is not None])
    assert gradient.norm() > 1e-3
    optimizer = torch.optim.SGD(task.module.parameters(), lr=2.0)
    train(task, [optimizer], Plan(steps=1, warmup=0, clip=clip), Run(tmp_path))
    moved = nn.utils.parameters_to_vector(task.module.parameters()).detach() - before
    expected = -2.0 * gradient * min(1.0, clip / float(gradient.norm()))
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-6)


def test_a_line_of_the_log_is_the_mean_of_its_steps(tmp_path: Path) -> None:
    for every in (1, 4):
        fit(Regression(), tmp_path / str(every), Plan(steps=10, log_every=every))
    single = [line["loss"] for line in logged(tmp_path / "1")]
    means = [sum(part) / len(part) for part in (single[:4], single[4:8], single[8:])]
    assert [line["loss"] for line in logged(tmp_path / "4")] == pytest.approx(means)
