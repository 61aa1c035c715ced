"""Tiny pipelines with a context of recorded calls."""

from collections.abc import Callable

import pytest
import torch

from bitscape.calibration import Rows, record
from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.passes import Context, FoldView
from bitscape.passes.site_rows import SiteRows
from bitscape.quantizers import minmax
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


@pytest.fixture
def fold_view() -> Callable[..., FoldView]:
    """Eight channels of unequal size in 24 rows at three positions, read by two consumers."""

    def make(scheme: str = "W4A4,static", **options: object) -> FoldView:
        drawn = torch.Generator().manual_seed(0)
        sizes, centres = torch.logspace(-1, 1, 8), torch.linspace(-2, 2, 8)
        X = torch.randn(24, 8, generator=drawn) * sizes + centres
        at = torch.arange(24) % 3
        low, high = (torch.stack([f(X[at == p]) for p in range(3)]) for f in (_low, _high))
        told = parse_scheme(scheme).default
        return FoldView(
            sample=SiteRows(
                rows=Rows(X, at, torch.ones(24), torch.arange(3), low, high, X.abs().mean(dim=0)),
                scheme=told.activation,
                row_of=at,
                range=minmax,
                splits=(8,),
            ),
            weights=[torch.randn(rows, 8, generator=drawn) for rows in (5, 4)],
            schemes=[told.weight] * 2,
            weight_range=minmax,
            **options,
        )

    return make


def _low(X: torch.Tensor) -> torch.Tensor:
    return X.amin(dim=0)


def _high(X: torch.Tensor) -> torch.Tensor:
    return X.amax(dim=0)
