"""Tiny pipelines of both styles with their recorded calls."""

import pytest

from bitscape.calibration import CalibrationSet, record
from bitscape.models import FAMILIES
from bitscape.nn import insert
from bitscape.structure import Pipeline


@pytest.fixture(params=list(FAMILIES))
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    """A tiny pipeline whose sites are in the normal form."""
    made = FAMILIES[request.param].tiny()
    insert(made.network, made.adapter.sites(made.network), made.clocks)
    return made


@pytest.fixture
def calibration(pipeline: Pipeline) -> CalibrationSet:
    """The calls of four images."""
    return record(pipeline, [0, 1, 2, 3], seed=7, batch=2)
