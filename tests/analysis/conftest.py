"""A tiny teacher of each kind of trajectory."""

import pytest
import torch

from bitscape.analysis import Subject
from bitscape.models import FAMILIES

KINDS = ("var", "llamagen", "mar", "dit")


@pytest.fixture(params=KINDS)
def teacher(request) -> Subject:
    """Cached scales, cached tokens, two networks, diffusion."""
    pipeline = FAMILIES[request.param].tiny()
    return Subject(pipeline, torch.tensor([1, 0]), seed=5)


@pytest.fixture
def diffusion() -> Subject:
    return Subject(FAMILIES["dit"].tiny(), torch.tensor([1, 0]), seed=5)
