"""MAR against golden tensors of the official code, and what its iterations and lessons mean."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bitscape.models import FAMILIES
from bitscape.models.ancestral import Ancestral, CosineDiffusion
from bitscape.models.checkpoint import Layout
from bitscape.models.mar import MAR_FAMILY, masked_counts
from bitscape.models.mar_network import MARConfig, take
from bitscape.structure import Call, Pipeline, Randomness, drive

Golden = tuple[dict[str, Tensor], dict[str, Tensor]]
Load = Callable[[nn.Module, Layout, Mapping[str, Tensor]], None]
CONFIG = MARConfig(
    16, 2, 2, 24, 2, num_classes=10, side=4, latent_channels=8, buffer=4, iterations=5, head_steps=6
)


@pytest.fixture(scope="module")
def expected(golden: Callable[[str], Golden]) -> dict[str, Tensor]:
    return golden("mar")[0]


@pytest.fixture(scope="module")
def pipeline(golden: Callable[[str], Golden], load_released: Load) -> Pipeline:
    result = MAR_FAMILY.pipeline("mar", "golden", CONFIG, nn.Identity())
    load_released(result.network, MAR_FAMILY.layouts[0], golden("mar")[1])
    return result


class Recorded(Randomness):
    """The order and the draws under which the official code sampled."""

    def __init__(self, order: Tensor, draws: Tensor) -> None:
        super().__init__(0, range(len(order)))
        self.order, self.draws = order, draws

    def permutations(self, length: int) -> Tensor:
        return self.order

    def normal(self, *shape: int) -> Tensor:
        drawn, self.draws = self.draws[:, : shape[0]], self.draws[:, shape[0] :]
        return drawn


@torch.no_grad()
def test_vectors_of_the_backbone_are_the_official_ones(
    pipeline: Pipeline, expected: dict[str, Tensor]
) -> None:
    known = expected["order"][:, :6]
    backbone = pipeline.network.get_submodule("backbone")
    vectors = backbone(take(expected["tokens"], known), known, expected["labels"])
    torch.testing.assert_close(vectors, expected["vectors"], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_predictions_of_the_head_are_the_official_ones(
    pipeline: Pipeline, expected: dict[str, Tensor]
) -> None:
    head = pipeline.network.get_submodule("head")
    found = head(expected["noisy"], expected["times"], expected["vectors"])
    torch.testing.assert_close(found, expected["predicted"], rtol=1e-5, atol=1e-5)


def test_each_step_of_the_head_is_the_official_one(expected: dict[str, Tensor]) -> None:
    path = Ancestral(CosineDiffusion(), 6)
    noise, variance = expected["predicted"][0].chunk(2, dim=1)
    drawn = 0.9 * expected["draws"][0, :16]
    steps = [path.step(expected["noisy"][0], noise, variance, i, drawn) for i in range(6)]
    torch.testing.assert_close(torch.stack(steps[::-1]), expected["stepped"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("linear", {"guidance": 2.9, "temperature": 0.9}),
        ("constant", {"guidance": 2.0, "guidance_schedule": "constant"}),
        ("unguided", {"guidance": 1.0}),
    ],
)
@torch.no_grad()
def test_latents_under_the_same_draws_are_the_official_ones(
    name: str, options: dict[str, Any], pipeline: Pipeline, expected: dict[str, Tensor]
) -> None:
    randomness = Recorded(expected["order"], expected["draws"])
    found = pipeline.adapter.trajectory(pipeline.network, expected["labels"], randomness, **options)
    latents = drive(pipeline.network, found, pipeline.clocks)
    # Untrained networks leave latents of 1e5, to which the tolerance is relative.
    torch.testing.assert_close(latents, expected[name], rtol=1e-4, atol=1.0)


@pytest.mark.parametrize("iterations", [1, 2, 7, 16, 64, 255, 256])
def test_each_iteration_finds_a_token_or_more(iterations: int) -> None:
    counts = masked_counts(256, iterations)
    assert len(counts) == iterations + 1
    assert counts[0] == 256
    assert counts[-1] == 0
    assert (np.diff(counts) < 0).all()


def test_more_iterations_than_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match="17 iterations are out of range: choose 1 to 16"):
        FAMILIES["mar"].tiny().sample([0], iterations=17)


def test_an_unknown_guidance_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown guidance schedule 'cosine'"):
        FAMILIES["mar"].tiny().sample([0], guidance_schedule="cosine")


@torch.no_grad()
def test_an_image_is_the_same_in_another_batch() -> None:
    pipeline = FAMILIES["mar"].tiny()
    together = pipeline.latents(torch.tensor([0, 1, 2]), seed=4)
    alone = pipeline.latents(torch.tensor([2]), seed=4, first=2)
    torch.testing.assert_close(alone[0], together[2], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_clock_is_the_nearest_iteration_and_the_timestep_of_the_head() -> None:
    pipeline = FAMILIES["mar"].tiny()
    rows: dict[str, list[int]] = {"backbone": [], "head": []}

    def tap(call: Call, output: Tensor) -> None:
        rows[call.net].append(int(call.step))

    pipeline.latents(torch.tensor([0]), iterations=2, steps=3, tap=tap)
    assert rows["backbone"] == [0, 2]
    assert rows["head"] == 2 * Ancestral(CosineDiffusion(), 3).times


def test_a_lesson_denoises_the_masked_tokens_alone() -> None:
    adapter: Any = FAMILIES["mar"].tiny().adapter
    drawn = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 8, 4, 4, generator=drawn)
    order = Randomness(0, range(2)).permutations(16)
    t, noise = torch.zeros(2, 20, dtype=torch.int64), torch.zeros(2, 20, 8)
    start = adapter.masked_lesson(latents, torch.tensor([0, 1]), order, 10, t, noise).start()
    backbone = next(start)
    head = start.send(torch.randn(2, 16, 16, generator=drawn))
    rows = latents.flatten(2).transpose(1, 2)
    assert torch.equal(backbone.args[0], take(rows, order[:, 10:]))
    clean = head.args[0] / CosineDiffusion().signal()[0].sqrt().float()
    torch.testing.assert_close(clean[:, :10], take(rows, order[:, :10]))
    assert torch.equal(clean[:, :10], clean[:, 10:])
