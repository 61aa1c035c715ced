"""Tiny pipelines with a context of recorded calls."""

from collections.abc import Callable

import pytest

from bitscape.calibration import record
from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.passes import Context
from bitscape.structure import Pipeline


@pytest.fixture(params=list(FAMILIES))
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    """A tiny pipeline in full precision."""
    return FAMILIES[request.param].tiny()


@pytest.fixture
def context(pipeline: Pipeline) -> Callable[..., Context]:
    """A context for a scheme by name, with the calls of four images."""
    calibration = record(pipeline, [0, 1, 2, 3], seed=7, batch=2, keep=3)

    def make(scheme: str, **options: object) -> Context:
        return Context(parse_scheme(scheme), calibration, **options)

    return make
