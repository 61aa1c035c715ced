"""RAR against golden tensors of the official code, and what its orders mean."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bitscape.models import FAMILIES
from bitscape.models.checkpoint import Layout
from bitscape.models.maskgit import MaskGITConfig, MaskGITTokenizer
from bitscape.models.rar import RAR_FAMILY
from bitscape.models.rar_network import PREFIX, RARConfig
from bitscape.structure import Pipeline, invoke

Golden = tuple[dict[str, Tensor], dict[str, Tensor]]
Load = Callable[[nn.Module, Layout, Mapping[str, Tensor]], None]
CONFIG = RARConfig(16, 2, 2, 48, num_classes=10, vocabulary=32, side=4)


@pytest.fixture(scope="module")
def expected(golden: Callable[[str], Golden]) -> dict[str, Tensor]:
    return golden("rar")[0]


@pytest.fixture(scope="module")
def pipeline(golden: Callable[[str], Golden], load_released: Load) -> Pipeline:
    tokenizer = MaskGITTokenizer(MaskGITConfig(8, (1, 2, 2), 1, 8, 32, 4))
    result = RAR_FAMILY.pipeline("rar", "golden", CONFIG, tokenizer)
    load_released(result.network, RAR_FAMILY.layouts[0], golden("rar")[1])
    return result


@torch.no_grad()
def test_teacher_forced_logits_are_the_official_ones(
    pipeline: Pipeline, expected: dict[str, Tensor]
) -> None:
    logits = pipeline.network(expected["tokens"][:, :-1], expected["labels"])
    # The official network also predicts what would follow the last token.
    torch.testing.assert_close(logits, expected["logits"][:, :-1], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_logits_under_a_random_order_are_the_official_ones(
    pipeline: Pipeline, expected: dict[str, Tensor]
) -> None:
    adapter: Any = pipeline.adapter
    lesson = adapter.token_lesson(expected["tokens"], expected["labels"], expected["order"])
    assert torch.equal(lesson.target, expected["ordered_tokens"])
    logits = invoke(pipeline.network, pipeline.clocks, next(lesson.start()))
    torch.testing.assert_close(logits, expected["ordered_logits"][:, :-1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "guidance", "power"),
    [("rising", 6.0, 2.75), ("constant", 3.0, 0.0), ("unguided", 0.0, 1.0)],
)
@torch.no_grad()
def test_greedy_tokens_with_cache_and_guidance_are_the_official_ones(
    name: str, guidance: float, power: float, pipeline: Pipeline, expected: dict[str, Tensor]
) -> None:
    latents = pipeline.latents(
        expected["labels"], guidance=guidance, guidance_power=power, temperature=1.02, top_k=1
    )
    codebook: Any = pipeline.tokenizer.get_submodule("quantize")
    assert torch.equal(codebook.nearest(latents), expected[name])


@torch.no_grad()
def test_an_order_renames_the_places(pipeline: Pipeline, expected: dict[str, Tensor]) -> None:
    adapter: Any = pipeline.adapter
    order = expected["order"][:1]
    lesson = adapter.token_lesson(expected["tokens"], expected["labels"], order)
    renamed = RAR_FAMILY.network(CONFIG)
    state = dict(pipeline.network.state_dict())
    state["target"] = state["target"][:, order[0]]
    places = torch.cat([torch.arange(PREFIX), PREFIX + order[0]])
    state["position"] = state["position"][:, places]
    renamed.load_state_dict(state)
    ordered = pipeline.network(*next(lesson.start()).args)
    torch.testing.assert_close(renamed(lesson.target[:, :-1], expected["labels"]), ordered)


@pytest.mark.parametrize("size", RAR_FAMILY.sizes)
def test_every_released_size_reads_every_released_tensor(size: str) -> None:
    config = RAR_FAMILY.sizes[size]
    with torch.device("meta"):
        network = RAR_FAMILY.network(config)
        state = {name: torch.empty(shape) for name, shape in released_shapes(config).items()}
    (layout,) = RAR_FAMILY.layouts
    assert layout.missing(network, state) == []
    assert layout.unused(network, state) == []
    own = network.state_dict()
    for name, source in layout.keys(network).items():
        assert source.join(*(state[key] for key in source.keys)).shape == own[name].shape
    assert {name for name in own if not name.endswith(".unit")} == set(layout.keys(network))


def test_the_shapes_of_the_golden_file_follow_the_same_rule(
    golden: Callable[[str], Golden],
) -> None:
    state = golden("rar")[1]
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == released_shapes(CONFIG)


def test_each_size_samples_as_published() -> None:
    with torch.device("meta"):
        pipelines = {size: FAMILIES["rar"].build(size) for size in ("b", "xxl")}
    assert pipelines["b"].sampler == {"guidance": 16.0, "guidance_power": 2.75, "temperature": 1.0}
    assert pipelines["xxl"].sampler == {
        "guidance": 8.0,
        "guidance_power": 1.2,
        "temperature": 1.02,
    }


def released_shapes(config: RARConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes in rar_b.bin to rar_xxl.bin."""
    width, tokens = config.embed_dim, config.side**2
    head = width // config.num_heads
    table = config.vocabulary + 1 + config.num_classes + 1

    def linear(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}

    def norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}

    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, tokens + 1024, width),
        "target_aware_pos_embed": (1, tokens + 1024, width),
        "timesteps_embeddings": (1, tokens + 100, width),
        "embeddings.weight": (table, width),
        **linear("adaln_before_head.adaLN_modulation.1", 2 * width, width),
        **linear("lm_head", config.vocabulary, width),
    }
    for i in range(config.depth):
        block = f"blocks.{i}"
        shapes |= norm(f"{block}.norm1", width) | norm(f"{block}.norm2", width)
        shapes |= norm(f"{block}.attn.q_norm", head) | norm(f"{block}.attn.k_norm", head)
        shapes |= linear(f"{block}.attn.qkv", 3 * width, width)
        shapes |= linear(f"{block}.attn.proj", width, width)
        shapes |= linear(f"{block}.mlp.fc1", config.hidden, width)
        shapes |= linear(f"{block}.mlp.fc2", width, config.hidden)
        shapes |= linear(f"{block}.adaLN_modulation.1", 6 * width, width)
    return shapes
