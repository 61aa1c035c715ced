"""Facts of the released architectures, and a description that rebuilds its pipeline."""

import json

import pytest
import torch

from bitscape.models import FAMILIES, Family, assemble, describe
from bitscape.models.autoencoder import to_uint8
from bitscape.models.kl import KLTokenizer
from bitscape.models.multiscale import MultiScaleTokenizer
from bitscape.models.pixels import PixelTokenizer
from bitscape.models.prompts import PromptTokenizer
from bitscape.models.vq import VQTokenizer


@pytest.mark.parametrize(
    ("family", "size", "millions"),
    [("var", "d16", 310), ("var", "d30", 2010), ("dit", "XL-2", 675), ("dit", "B-2", 130)],
)
def test_released_sizes_have_the_published_parameter_counts(
    family: str, size: str, millions: int
) -> None:
    entry = FAMILIES[family]
    with torch.device("meta"):
        network = entry.network(entry.sizes[size])
    count = sum(p.numel() for p in network.parameters()) / 1e6
    assert count == pytest.approx(millions, rel=0.015)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_a_released_size_is_described_without_memory_for_its_weights(family: Family) -> None:
    with torch.device("meta"):
        pipeline = family.build(next(iter(family.sizes)))
    network, adapter = pipeline.network, pipeline.adapter
    assert all(parameter.is_meta for parameter in network.parameters())
    for part in (*adapter.sites(network), *adapter.blocks(network)):
        network.get_submodule(part.name)
    for module, layouts in (
        (network, family.layouts),
        (pipeline.tokenizer, family.tokenizer_layouts),
    ):
        for layout in layouts:
            assert layout.keys(module).keys() <= module.state_dict().keys()


def test_an_unknown_size_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown size 'd17'"):
        FAMILIES["var"].build("d17")


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_description_survives_json_and_rebuilds_the_pipeline(family: str) -> None:
    pipeline = FAMILIES[family].tiny()
    described = json.loads(json.dumps(describe(pipeline)))
    rebuilt = assemble(described)
    assert describe(rebuilt) == describe(pipeline)
    rebuilt.network.load_state_dict(pipeline.network.state_dict())
    rebuilt.tokenizer.load_state_dict(pipeline.tokenizer.state_dict())
    assert torch.equal(rebuilt.sample([1, 2]), pipeline.sample([1, 2]))


def test_a_description_of_an_unknown_family_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown model family 'gan'"):
        assemble({"family": "gan"})


def test_the_key_bias_of_var_takes_no_gradient() -> None:
    pipeline = FAMILIES["var"].tiny()
    labels = torch.tensor([0, 1])
    pipeline.network(torch.randn(2, 21, 8), labels).square().sum().backward()
    gradient = pipeline.network.get_submodule("blocks.0.attn.qkv").bias.grad
    query, key, value = gradient.chunk(3)
    assert not key.any()
    assert query.any()
    assert value.any()


@pytest.mark.parametrize(
    ("family", "told", "rounded"),
    [
        ("dit", None, True),
        ("dit", False, False),
        ("unet", None, False),
        ("unet", True, True),
    ],
)
def test_a_tokenizer_tells_how_its_images_become_bytes(
    family: str, told: bool | None, rounded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = FAMILIES[family].tiny()
    monkeypatch.setattr(type(pipeline.tokenizer), "rounded", told)
    with torch.no_grad():
        latents = pipeline.latents(torch.tensor([1]), steps=2)
        images = pipeline.tokenizer.from_latents(latents)
        found = pipeline.adapter.decode(pipeline.tokenizer, latents)
    assert torch.equal(found, to_uint8(images, rounded=rounded))
    assert not torch.equal(found, to_uint8(images, rounded=not rounded))


def test_of_the_tokenizers_those_of_pixels_and_of_the_zoo_tell() -> None:
    assert (PixelTokenizer.rounded, MultiScaleTokenizer.rounded) == (True, False)
    assert {t.rounded for t in (KLTokenizer, VQTokenizer, PromptTokenizer)} == {None}
