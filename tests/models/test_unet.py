"""U-Nets against the official code at tiny sizes, and their graphs against themselves.

`golden/unet.safetensors` was computed by CompVis/latent-diffusion (UNetModel, VQ first stage,
DDIMSampler, PLMSSampler) and ermongroup/ddim (Model, generalized_steps) with the weights that
`drawn` makes of each of their keys; the file's metadata lists keys and shapes. Samplers start from
`Randomness(0, range(2))`.
"""

import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from bitscape import artefacts
from bitscape.calibration import stream
from bitscape.models import FAMILIES
from bitscape.models.autoencoder import AutoencoderConfig
from bitscape.models.autoencoder_keys import LDM
from bitscape.models.checkpoint import Layout, gather
from bitscape.models.diffusion import Diffusion
from bitscape.models.first_stage import FIRST_STAGE_LAYOUTS
from bitscape.models.kl import KLConfig, KLTokenizer, kl_keys
from bitscape.models.pixels import PixelConfig, PixelTokenizer
from bitscape.models.unet import SIZES, TINY
from bitscape.models.unet_graph import parts
from bitscape.models.unet_keys import UNET_LAYOUTS
from bitscape.models.unet_kinds import PartKind, kind_of
from bitscape.models.unet_network import UNet, UNetConfig
from bitscape.models.vq import VQConfig, VQTokenizer
from bitscape.structure import Absorb, Pipeline, Randomness, drive, invoke

pytest.importorskip("diffusers")

GOLDEN = Path(__file__).parents[1] / "golden" / "unet.safetensors"
SMALL = {
    "sample_size": 8,
    "channels": 3,
    "block_out_channels": (32, 64),
    "attention": (False, True),
    "layers_per_block": 1,
}
CASES = {
    "imagenet": replace(
        SIZES["ldm4-imagenet"], **SMALL, num_classes=10, cross_attention_dim=24, num_heads=2
    ),
    "bedrooms": replace(SIZES["ldm4-bedrooms"], **SMALL, attention_head_dim=16),
    "churches": replace(
        SIZES["ldm8-churches"],
        **SMALL | {"block_out_channels": (32, 64, 64), "attention": (True, True, False)},
        num_heads=4,
    ),
    "cifar10": replace(SIZES["cifar10"], **SMALL),
}
LAYOUT = {"imagenet": 1, "bedrooms": 1, "churches": 1, "cifar10": 2}
TOKENIZER = VQConfig(
    AutoencoderConfig(32, (1, 2), 1, latent_channels=3, attention=()), 32, 3, normalise=False
)


def drawn(key: str, shape: list[int]) -> Tensor:
    """The weight that both implementations have under an official key."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(key.encode())))
    if len(shape) > 1:
        return 0.7 * x * x[0].numel() ** -0.5
    return 1 + 0.1 * x if key.endswith("weight") else 0.1 * x


def golden(case: str) -> tuple[dict[str, list[int]], dict[str, Tensor]]:
    """The official keys with their shapes, and what the official code computed."""
    with safe_open(GOLDEN, framework="pt") as file:
        names = list(file.keys())
        tensors = {
            name.removeprefix(f"{case}."): file.get_tensor(name)
            for name in names
            if name.startswith(f"{case}.")
        }
        return json.loads(file.metadata()[case]), tensors


def fill(module: nn.Module, layout: Layout, shapes: dict[str, list[int]]) -> None:
    assert layout.missing(module, shapes) == []
    assert layout.unused(module, shapes) == []
    keys = layout.keys(module)
    assert keys.keys() == module.state_dict().keys()
    module.load_state_dict(dict(gather(keys, lambda key: drawn(key, shapes[key]))))


def official(case: str) -> tuple[Pipeline, dict[str, Tensor]]:
    """Our pipeline with the official weights, and what the official code computed."""
    shapes, tensors = golden(case)
    tokenizer = PixelTokenizer(PixelConfig()) if case == "cifar10" else VQTokenizer(TOKENIZER)
    pipeline = FAMILIES["unet"].pipeline(case, case, CASES[case], tokenizer)
    fill(pipeline.network, UNET_LAYOUTS[LAYOUT[case]], shapes)
    if case == "imagenet":
        fill(pipeline.tokenizer, FIRST_STAGE_LAYOUTS[0], shapes)
    pipeline.network.requires_grad_(False)
    return pipeline, tensors


@pytest.fixture(scope="module", params=list(CASES))
def computed(request: pytest.FixtureRequest) -> tuple[str, Pipeline, dict[str, Tensor]]:
    return request.param, *official(request.param)


def sampled(pipeline: Pipeline, labels: list[int], **sampler: Any) -> Tensor:
    with torch.no_grad():
        return pipeline.latents(torch.tensor(labels), seed=0, **sampler)


def relative(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())


def test_the_noise_is_that_of_the_official_code(
    computed: tuple[str, Pipeline, dict[str, Tensor]],
) -> None:
    case, pipeline, expected = computed
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    labels = (torch.tensor([1, 7]),) if case == "imagenet" else ()
    got = pipeline.network(x, torch.tensor([3, 700]), *labels)
    assert relative(got, expected["eps"]) < 1e-5


def test_samplers_are_those_of_the_official_code(
    computed: tuple[str, Pipeline, dict[str, Tensor]],
) -> None:
    case, pipeline, expected = computed
    options: dict[str, dict[str, Any]] = {
        "imagenet": {"guidance": 3.0, "steps": 4},
        "bedrooms": {"eta": 1.0, "steps": 4},
        "cifar10": {"eta": 0.5, "steps": 5},
    }
    if case not in options:
        return
    labels = [1, 7] if case == "imagenet" else [0, 0]
    latents = sampled(pipeline, labels, **options[case])
    assert relative(latents, expected["latents"]) < 1e-4
    if case == "imagenet":
        images = pipeline.adapter.decode(pipeline.tokenizer, latents)
        assert int((images.int() - expected["images"].int()).abs().max()) <= 1
        plms = sampled(pipeline, labels, guidance=3.0, steps=5, solver="PNDMScheduler")
        assert relative(plms, expected["plms"]) < 1e-4


def test_the_first_stage_encodes_as_the_official_code() -> None:
    shapes, expected = golden("imagenet")
    tokenizer = VQTokenizer(TOKENIZER).requires_grad_(False)
    fill(tokenizer, FIRST_STAGE_LAYOUTS[0], shapes)
    image = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 2 - 1
    assert relative(tokenizer.latents(image), expected["encoded"]) < 1e-5


@pytest.mark.parametrize("case", CASES)
def test_an_official_file_is_recognised(case: str, tmp_path: Path) -> None:
    shapes, _ = golden(case)
    save_file({key: drawn(key, shape) for key, shape in shapes.items()}, tmp_path / "m.safetensors")
    file = artefacts.open_foreign(tmp_path / "m.safetensors")
    found = artefacts.match(UNet(CASES[case]), UNET_LAYOUTS, file, case)
    assert found.layout == UNET_LAYOUTS[LAYOUT[case]].name
    if case == "imagenet":
        found = artefacts.match(VQTokenizer(TOKENIZER), FIRST_STAGE_LAYOUTS, file, case)
        assert found.layout == "latent diffusion"
    if case == "cifar10":
        pixels = PixelTokenizer(PixelConfig())
        assert not artefacts.match(pixels, FIRST_STAGE_LAYOUTS, file, case).keys


@torch.no_grad()
def test_the_scale_of_a_file_goes_into_its_autoencoder() -> None:
    autoencoder = AutoencoderConfig(8, (1, 2), 1, 4, 4, attention=(), double_z=True)
    plain, scaled = (KLTokenizer(KLConfig(autoencoder, scale)) for scale in (0.25, 1.0))
    layout = FIRST_STAGE_LAYOUTS[0]
    state = {f"first_stage_model.{k}": v for k, v in theirs(plain).items()}
    file = {**state, "scale_factor": torch.tensor(0.25), "model.diffusion_model.x": torch.ones(1)}
    assert layout.missing(scaled, file) == layout.unused(scaled, file) == []
    scaled.load_state_dict(dict(gather(layout.keys(scaled), file.__getitem__)))
    image = torch.rand(1, 3, 8, 8) * 2 - 1
    torch.testing.assert_close(scaled.latents(image), plain.latents(image))
    z = torch.randn(1, 4, 4, 4)
    torch.testing.assert_close(scaled.from_latents(z), plain.from_latents(z), rtol=1e-4, atol=1e-5)
    expected = plain.moments(image)[1] + 2 * torch.tensor(0.25).log()
    torch.testing.assert_close(scaled.moments(image)[1], expected)


def theirs(tokenizer: KLTokenizer) -> dict[str, Tensor]:
    """The weights of a KL autoencoder under the names of latent diffusion."""
    state, fused = tokenizer.state_dict(), {}
    for name, source in kl_keys(LDM, tokenizer).items():
        parts = state[name].chunk(len(source.keys))
        fused |= dict(zip(source.keys, parts, strict=True))
    return fused


def test_running_averages_are_read_from_names_without_dots() -> None:
    shapes, _ = golden("bedrooms")
    averages = {
        f"model_ema.{key.removeprefix('model.').replace('.', '')}": shape
        for key, shape in shapes.items()
    }
    network = UNet(CASES["bedrooms"])
    fill(network, UNET_LAYOUTS[0], {**shapes, **averages, "model_ema.decay": []})


@pytest.mark.parametrize(
    ("size", "millions"),
    [
        ("ldm4-imagenet", 400.92),
        ("ldm4-bedrooms", 274.06),
        ("ldm8-churches", 294.97),
        ("sd-1.4", 859.52),
        ("cifar10", 35.75),
    ],
)
def test_released_sizes_have_the_published_parameter_counts(size: str, millions: float) -> None:
    with torch.device("meta"):
        network = UNet(SIZES[size])
    backbone = sum(p.numel() for p in network.backbone.parameters())
    assert backbone / 1e6 == pytest.approx(millions, abs=0.01)
    total = sum(p.numel() for p in network.parameters())
    assert total == FAMILIES["unet"].parameters[size]


LEVELS = {"block_out_channels": (8, 16), "attention": (False, True)}
PLAIN = replace(TINY, **LEVELS, cross_attention_dim=None, num_heads=None, attention_head_dim=8)
GRAPHS: dict[str, UNetConfig] = {
    "class in the time embedding": PLAIN,
    "unconditional": replace(PLAIN, condition="none", num_classes=1),
    "scaled, resampled by residual blocks": replace(
        PLAIN, resnet_time_scale_shift="scale_shift", resample="resnet", num_heads=4
    ),
    "context": replace(TINY, **LEVELS, condition="prompt", diffusion=Diffusion()),
}


def tiny(config: UNetConfig) -> Pipeline:
    return replace(FAMILIES["unet"], tiny_config=config).tiny()


@pytest.mark.parametrize("name", GRAPHS)
@torch.no_grad()
def test_blocks_are_a_graph_and_folds_are_exact(name: str) -> None:
    pipeline = tiny(GRAPHS[name])
    network, adapter = pipeline.network.double(), pipeline.adapter
    t = torch.tensor([3, 900])
    x = torch.randn(2, 8, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    context = {"none": (), "class": (torch.tensor([1, 10]),), "prompt": (x.new_ones(2, 3, 8),)}
    lesson = adapter.noise_lesson(x, torch.tensor([0, 0]), t, x)
    call = replace(next(lesson.start()), args=(x, t, *context[GRAPHS[name].condition]))
    before = invoke(network, pipeline.clocks, call)
    for unit in stream(network, pipeline.clocks, adapter.blocks(network), [call]):
        last = unit
    out = network.backbone.conv_act(network.backbone.conv_norm_out(last.run()[0]))
    torch.testing.assert_close(network.backbone.conv_out(out), before)
    for site in adapter.sites(network):
        if site.splits:
            assert network.get_submodule(site.name).in_channels == sum(site.splits)
    for fold in adapter.folds(network):
        assert not fold.takes or Absorb.SCALE in fold.takes


@pytest.mark.parametrize("resample", ["conv", "resnet"])
@pytest.mark.parametrize("case", list(CASES))
def test_parts_are_told_apart_by_their_classes(case: str, resample: Any) -> None:
    crossing = CASES[case].cross_attention_dim is not None
    config = CASES[case] if crossing else replace(CASES[case], resample=resample)
    with torch.device("meta"):
        found = parts(UNet(config).backbone)
    assert found[0].kind is PartKind.OUTER
    attends = PartKind.TRANSFORMER if crossing else PartKind.ATTENTION
    turned = config.resample == "resnet"
    expected = {
        "resnets": PartKind.RESNET,
        "attentions": attends,
        "downsamplers": PartKind.RESNET if turned else PartKind.DOWNSAMPLE,
        "upsamplers": PartKind.RESNET if turned else PartKind.UPSAMPLE,
    }
    kinds = {part.name.split(".")[-2]: part.kind for part in found[1:]}
    assert kinds == expected
    # Every skip is read once, by a residual block of the way up.
    skips = [part.inputs[1] for part in found if part.splits]
    assert len(skips) == len(set(skips)) == len([p for p in found if p.splits])
    assert {part.name.split(".")[-2] for part in found if part.splits} == {"resnets"}


def test_a_module_that_is_no_part_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear is no known part"):
        kind_of(nn.Linear(2, 2))


def test_an_unconditional_model_cannot_be_guided() -> None:
    pipeline = tiny(GRAPHS["unconditional"])
    assert pipeline.sample([0, 0], steps=2).shape == (2, 16, 16, 3)
    with pytest.raises(ValueError, match="nothing to be guided by"):
        pipeline.sample([0], guidance=2.0)


def test_a_lesson_starts_from_encoded_images() -> None:
    pipeline = tiny(PLAIN)
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    encoded = pipeline.adapter.encode(pipeline.tokenizer, images)
    lesson = pipeline.adapter.lesson(encoded, torch.tensor([0, 1]), Randomness(0, range(2)))
    output = drive(pipeline.network, lesson.start(), pipeline.clocks)
    assert pipeline.adapter.loss(output, lesson.target).shape == (2,)
