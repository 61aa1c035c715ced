"""Large-DiT against golden tensors of the official code."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from bitscape.models import FAMILIES
from bitscape.models.checkpoint import Layout
from bitscape.models.large_dit import LargeDiTConfig
from bitscape.models.sampling import guide
from bitscape.structure import Pipeline, Randomness, drive

Golden = tuple[dict[str, Tensor], dict[str, Tensor]]
Load = Callable[[nn.Module, Layout, Mapping[str, Tensor]], None]


@pytest.fixture(scope="module")
def expected(golden: Callable[[str], Golden]) -> dict[str, Tensor]:
    return golden("large_dit")[0]


@pytest.fixture(scope="module")
def pipeline(golden: Callable[[str], Golden], load_released: Load) -> Pipeline:
    family = FAMILIES["largedit"]
    config = LargeDiTConfig(32, 3, 2, num_classes=10, side=8, hidden_multiple=16)
    tokenizer = family.tiny_tokenizer(family.tiny_config)
    result = family.pipeline("largedit", "golden", config, tokenizer)
    load_released(result.network, family.layouts[0], golden("large_dit")[1])
    return result


def close(found: Tensor, expected: Tensor) -> None:
    """Equal to 1e-5 of the largest value."""
    scale = float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * scale)


@torch.no_grad()
def test_output_is_the_official_one(pipeline: Pipeline, expected: dict[str, Tensor]) -> None:
    x, t, labels = expected["noise"][0], expected["times"], expected["labels"]
    close(pipeline.network(x, t, labels), expected["output"])
    nothing = torch.full_like(labels, 10)
    both = pipeline.network(torch.cat([x, x]), torch.cat([t, t]), torch.cat([labels, nothing]))
    close(guide(both[:, :3], 3.0), expected["guided"][:, :3])


class Written(Randomness):
    """The noise of the golden sample: the start, then one array a step."""

    def __init__(self, noise: Tensor) -> None:
        super().__init__(0, range(2))
        self.left = iter(noise)

    def normal(self, *shape: int) -> Tensor:
        assert shape == (4, 8, 8)
        return next(self.left)


@torch.no_grad()
def test_sample_is_the_official_one(pipeline: Pipeline, expected: dict[str, Tensor]) -> None:
    trajectory = pipeline.adapter.trajectory(
        pipeline.network,
        expected["labels"],
        Written(expected["noise"]),
        guidance=4.0,
        steps=4,
        solver="ddpm",
        guided_channels=3,
    )
    close(drive(pipeline.network, trajectory, pipeline.clocks), expected["sample"])


@torch.no_grad()
def test_places_matter(pipeline: Pipeline, expected: dict[str, Tensor]) -> None:
    x, t, labels = expected["noise"][0], expected["times"], expected["labels"]
    turned = pipeline.network(x.flip(3).flip(2), t, labels).flip(3).flip(2)
    assert (turned - expected["output"]).abs().max() > 0.1 * expected["output"].abs().max()


@pytest.mark.parametrize(("size", "hidden"), [("600M", 4096), ("3B", 8192), ("7B", 11008)])
def test_hidden_width_is_rounded_up(size: str, hidden: int) -> None:
    assert FAMILIES["largedit"].sizes[size].hidden == hidden
