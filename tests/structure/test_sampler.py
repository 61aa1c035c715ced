"""Options of a trajectory: names and types, read from its signature."""

from typing import Any

import numpy as np
import pytest
import torch

from bitscape.models import FAMILIES
from bitscape.structure.sampler import check_options, option_kinds


def trajectory(
    network: object, *, guidance: float = 1.0, steps: int | None = None, solver: str = "ddim"
) -> None:
    """A trajectory with an option of each kind."""


KNOWN = option_kinds(trajectory)


def test_kinds_are_those_of_the_signature() -> None:
    assert {"guidance": (float,), "steps": (int, type(None)), "solver": (str,)} == KNOWN


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"guidance": 2, "steps": None, "solver": "ddpm"},
        {"guidance": np.float32(1.5), "steps": np.int64(5)},
    ],
)
def test_good_options_pass(options: dict[str, Any]) -> None:
    check_options(KNOWN, options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guidence": 2.0}, "unknown sampler option 'guidence': one of guidance, solver, steps"),
        ({"guidance": "many"}, "guidance = 'many': give a number"),
        ({"guidance": None}, "guidance = None: give a number"),
        ({"guidance": True}, "guidance = True: give a number"),
        ({"steps": 2.5}, "steps = 2.5: give a whole number or null"),
        ({"solver": 3}, "solver = 3: give a word"),
    ],
)
def test_wrong_options_are_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        check_options(KNOWN, options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_options_of_each_family_are_of_their_own_kinds(family: str) -> None:
    pipeline = FAMILIES[family].tiny()
    for options in (FAMILIES[family].sampler, *FAMILIES[family].samplers.values()):
        pipeline.check_sampler(options)
    with pytest.raises(ValueError, match="guidance = 'many'"):
        pipeline.latents(torch.zeros(1, dtype=torch.int64), guidance="many")
