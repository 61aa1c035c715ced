"""Selecting calibration samples: rows of every argument together, and what is left is said."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from bitscape.algorithms import farthest
from bitscape.calibration import CalibrationSet
from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.passes import Context, SelectCalibration
from bitscape.structure import Block, Call, Pipeline, StepClock, constant_step, invoke

Make = Callable[..., Context]


@pytest.fixture(params=["var", "dit"])
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    """Tiny pipelines whose calls are whole sequences, and single steps."""
    return FAMILIES[request.param].tiny()


@pytest.mark.parametrize("by", ["distance", "kernel"])
def test_half_of_the_rows_are_kept_and_still_run(
    by: Literal["distance", "kernel"], pipeline: Pipeline, context: Make
) -> None:
    told = context("W4A8")
    before = told.calibration
    assert before is not None
    SelectCalibration(by, 0.5)(pipeline, told)
    after = told.calibration
    assert after is not None
    assert after.identity != before.identity
    for old, new in zip(before.calls, after.calls, strict=True):
        full = [arg for arg in old.args if isinstance(arg, Tensor)]
        kept = [arg for arg in new.args if isinstance(arg, Tensor)]
        batch = max(len(arg) for arg in full)
        assert max(len(arg) for arg in kept) == batch // 2
        rows = {tuple(row.flatten().tolist()) for row in full[0]}
        assert all(tuple(row.flatten().tolist()) in rows for row in kept[0])
        with torch.no_grad():
            assert invoke(pipeline.network, pipeline.clocks, new).isfinite().all()
    assert told.report["selection"]["by"] == by
    assert 2 * told.report["selection"]["kept"] == told.report["selection"]["of"]


def test_all_of_them_is_no_selection(pipeline: Pipeline, context: Make) -> None:
    told = context("W4A8")
    before = told.calibration
    SelectCalibration(share=1.0)(pipeline, told)
    assert told.calibration is before


class Tupled(nn.Module):
    """One block, which returns its stream as a tuple of one."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Doubled()

    def forward(self, x: Tensor) -> Tensor:
        (result,) = self.block(x)
        return result


class Doubled(nn.Module):
    """(2 w x,)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (2 * self.weight * x,)


def test_the_last_block_may_return_a_tuple_of_one(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline.adapter, "blocks", lambda network: [Block("block")])
    toy = replace(pipeline, network=Tupled(), clocks={"": StepClock()})
    x = torch.arange(12.0).view(4, 3)
    context = Context(parse_scheme("W4A8"), CalibrationSet((Call("", constant_step(0), (x,)),), {}))
    SelectCalibration("distance", 0.5)(toy, context)
    assert context.calibration is not None
    [call] = context.calibration.calls
    assert torch.equal(call.args[0], x[farthest(2 * x, 2)])
