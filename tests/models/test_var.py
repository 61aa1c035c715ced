"""VAR's modulation: shared by all blocks (d36), or a block's own."""

import pytest
import torch

from bitscape.models.var import VAR_FAMILY
from bitscape.models.var_network import VARConfig
from bitscape.structure import Absorb, Pipeline, invoke

CONFIG = VARConfig(
    16,
    2,
    2,
    num_classes=10,
    vocabulary=32,
    latent_channels=8,
    patch_nums=(1, 2, 4),
    shared_aln=True,
)


@pytest.fixture
def pipeline() -> Pipeline:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        result = VAR_FAMILY.pipeline("var", "tiny", CONFIG, VAR_FAMILY.tiny_tokenizer(CONFIG))
        for parameter in result.network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return result


def test_its_sites_are_one_modulation_and_four_layers_a_block(pipeline: Pipeline) -> None:
    names = [site.name for site in pipeline.adapter.sites(pipeline.network)]
    assert names[:2] == ["shared_ada", "blocks.0.attn.qkv"]
    assert len(names) == 1 + 4 * 2 + 2
    for name in names:
        assert isinstance(pipeline.network.get_submodule(name), torch.nn.Linear)


@torch.no_grad()
def test_replay_equals_generation(pipeline: Pipeline) -> None:
    calls, outputs = [], []

    def tap(call, output) -> None:  # type: ignore[no-untyped-def]
        calls.append(call)
        outputs.append(output)

    pipeline.latents(torch.tensor([0, 3]), seed=1, tap=tap)
    [replayed] = pipeline.adapter.replay(calls)
    got = invoke(pipeline.network, pipeline.clocks, replayed)
    torch.testing.assert_close(got, torch.cat(outputs, dim=1), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_its_blocks_take_a_shift_and_no_scale(pipeline: Pipeline) -> None:
    network = pipeline.network.double()
    inputs, labels = torch.randn(2, 21, 8, dtype=torch.float64), torch.tensor([1, 2])
    before = network(inputs, labels)
    folds = {fold.name: fold for fold in pipeline.adapter.folds(network)}
    for name in ("blocks.0.norm1", "blocks.1.norm2"):
        fold = folds[name]
        assert fold.takes == {Absorb.SHIFT}
        [consumer] = [network.get_submodule(each) for each in fold.consumers]
        shift = torch.randn(16, dtype=torch.float64)
        fold.push(network, torch.ones_like(shift), shift)
        assert isinstance(consumer, torch.nn.Linear)
        consumer.bias += consumer.weight @ shift
    torch.testing.assert_close(network(inputs, labels), before, rtol=1e-9, atol=1e-9)
    assert folds["head_norm"].takes == {Absorb.SCALE, Absorb.SHIFT}


@torch.no_grad()
def test_a_block_modulates_all_scales_by_one_call_of_its_layer() -> None:
    pipeline = VAR_FAMILY.tiny()
    seen: list[int] = []
    for number, block in enumerate(pipeline.network.blocks):
        block.ada.register_forward_hook(lambda *_, number=number: seen.append(number))
    for _ in range(2):
        pipeline.latents(torch.tensor([0, 3]), seed=1)
    assert seen == 2 * list(range(len(pipeline.network.blocks)))
