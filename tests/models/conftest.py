"""Golden tensors of the official codes, and the weights under which they were computed."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from bitscape.models.checkpoint import Layout

GOLDEN = Path(__file__).parents[1] / "golden"
Golden = tuple[dict[str, Tensor], dict[str, Tensor]]


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """A function from a file's name to its tensors and the official state they were made with."""
    return _golden


@pytest.fixture(scope="session")
def load_released() -> Callable[[nn.Module, Layout, Mapping[str, Tensor]], None]:
    """A function that fills a module from an official state, using up every key of it."""
    return _load_released


def _golden(name: str) -> Golden:
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        made = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    return tensors, released_weights(json.loads(made["shapes"]), int(made["seed"]))


def released_weights(shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, Tensor]:
    """Random weights of unit gain; vectors near 1 where they are weights of a norm, else near 0."""
    drawn = np.random.default_rng(seed)
    state = {}
    for name, shape in shapes.items():
        values = torch.from_numpy(drawn.standard_normal(shape))
        if len(shape) > 1:
            values = values * 1.2 / np.prod(shape[1:]) ** 0.5
        else:
            values = 0.1 * values + (1.0 if name.endswith("weight") else 0.0)
        state[name] = values.float()
    return state


def _load_released(module: nn.Module, layout: Layout, state: Mapping[str, Tensor]) -> None:
    assert layout.missing(module, state) == []
    assert layout.unused(module, state) == []
    built = {
        name: source.join(*(state[key] for key in source.keys))
        for name, source in layout.keys(module).items()
    }
    module.load_state_dict({**module.state_dict(), **built})
