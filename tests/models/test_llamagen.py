"""LlamaGen and PAR against golden tensors of the official codes."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bitscape.models import FAMILIES
from bitscape.models.arrangement import parallel
from bitscape.models.checkpoint import Layout
from bitscape.models.llamagen import LlamaGen, LlamaGenAdapter
from bitscape.models.vq import VQTokenizer
from bitscape.structure import Pipeline, invoke

Golden = tuple[dict[str, Tensor], dict[str, Tensor]]
Load = Callable[[nn.Module, Layout, Mapping[str, Tensor]], None]


@pytest.fixture(scope="module", params=["llamagen", "par"])
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def expected(family: str, golden: Callable[[str], Golden]) -> dict[str, Tensor]:
    return golden(family)[0]


@pytest.fixture(scope="module")
def pipeline(family: str, golden: Callable[[str], Golden], load_released: Load) -> Pipeline:
    result = FAMILIES[family].tiny()
    load_released(result.network, FAMILIES[family].layouts[0], golden(family)[1])
    return result


@torch.no_grad()
def test_teacher_forced_logits_are_the_official_ones(
    pipeline: Pipeline, expected: dict[str, Tensor]
) -> None:
    adapter = pipeline.adapter
    assert isinstance(adapter, LlamaGenAdapter)
    lesson = adapter.token_lesson(expected["tokens"], expected["labels"])
    logits = invoke(pipeline.network, pipeline.clocks, next(lesson.start()))
    torch.testing.assert_close(logits, expected["logits"], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_greedy_tokens_with_cache_and_guidance_are_the_official_ones(
    pipeline: Pipeline, expected: dict[str, Tensor]
) -> None:
    tokenizer = pipeline.tokenizer
    assert isinstance(tokenizer, VQTokenizer)
    codes = pipeline.latents(torch.tensor([1, 7]), guidance=2.0, top_k=1)
    assert torch.equal(codes, tokenizer.lookup(expected["greedy"]))
    assert expected["greedy"].unique().numel() > 8


@torch.no_grad()
def test_without_guidance_nothing_is_doubled(pipeline: Pipeline) -> None:
    rows: list[int] = []
    labels = torch.tensor([1, 7])
    for guidance in (1.0, 2.0):
        pipeline.latents(labels, guidance=guidance, tap=lambda call, out: rows.append(len(out)))
    calls = pipeline.adapter.steps[""]
    assert rows == [2] * calls + [4] * calls


def test_one_region_is_raster_order() -> None:
    raster = parallel(4, 1)
    assert raster.reads == (-1, *range(15))
    assert raster.writes == raster.steps == tuple(range(16))
    assert raster.runs == (0, 1)


def test_par_with_one_region_is_llamagen() -> None:
    llamagen, par = FAMILIES["llamagen"].tiny_config, FAMILIES["par"].tiny_config
    assert replace(par, regions=1) == llamagen


@pytest.mark.parametrize(("side", "regions"), [(4, 4), (8, 16), (24, 4), (24, 16)])
def test_regions_are_written_in_parallel(side: int, regions: int) -> None:
    arrangement = parallel(side, regions)
    cells, part = side * side, side // round(regions**0.5)
    assert sorted(arrangement.writes) == list(range(cells))
    assert len(arrangement.reads) == cells
    assert len(arrangement.fixed) == regions
    # The last regions' tokens are read by nobody: nothing comes after them.
    assert [c for c in arrangement.reads if c >= 0] == list(arrangement.writes[:-regions])
    for span in arrangement.spans:
        parts = {(c // side // part, c % side // part) for c in arrangement.writes[span]}
        assert len(parts) == span.stop - span.start


@pytest.mark.parametrize("regions", [2, 9])
def test_regions_that_do_not_tile_are_refused(regions: int) -> None:
    with pytest.raises(ValueError, match=f"{regions} regions do not tile a map of 8 x 8"):
        parallel(8, regions)


@pytest.mark.parametrize(
    ("family", "size", "millions"),
    [
        ("llamagen", "B-256", 111),
        ("llamagen", "L-384", 343),
        ("llamagen", "XL-384", 775),
        ("llamagen", "XXL-384", 1411),
        ("llamagen", "3B-384", 3096),
        ("par", "XL-4x", 775),
        ("par", "3B-16x", 3096),
    ],
)
def test_released_sizes_have_the_published_parameter_counts(
    family: str, size: str, millions: int
) -> None:
    entry = FAMILIES[family]
    with torch.device("meta"):
        network = entry.network(entry.sizes[size])
    count = sum(p.numel() for p in network.parameters()) / 1e6
    assert count == pytest.approx(millions, rel=0.015)
    # Every parameter of ours has a source, and every source a shape of ours.
    assert isinstance(network, LlamaGen)
    assert entry.layouts[0].keys(network).keys() == dict(network.named_parameters()).keys()


def test_a_cast_network_keeps_exact_angles_and_masks() -> None:
    network = FAMILIES["par"].tiny().network.bfloat16()
    assert all(not buffer.is_floating_point() for buffer in network.buffers())
