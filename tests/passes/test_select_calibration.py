"""Selecting calibration samples: rows of every argument together, and what is left is said."""

from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor

from bitscape.models import FAMILIES
from bitscape.passes import Context, SelectCalibration
from bitscape.structure import Pipeline, invoke

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
