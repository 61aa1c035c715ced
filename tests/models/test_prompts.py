"""Prompts: words to numbers to a context, through a pipeline with a tiny encoder and vocabulary."""

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import bitscape
from bitscape.api import Model, estimate_quantize
from bitscape.calibration import record
from bitscape.models import FAMILIES, Family
from bitscape.models.autoencoder import AutoencoderConfig
from bitscape.models.checkpoint import Layout
from bitscape.models.first_stage import FIRST_STAGE_LAYOUTS
from bitscape.models.kl import KLConfig
from bitscape.models.prompts import PromptConfig, PromptTokenizer
from bitscape.models.unet import TINY
from bitscape.models.unet_keys import UNET_LAYOUTS
from bitscape.recipes import Calibration, apply, find_recipe
from bitscape.structure import Pipeline

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

WORDS = ["a</w>", "cat</w>", "c", "at</w>", "a", "t</w>", "t", "ca"]
MARKS = ["<|startoftext|>", "<|endoftext|>"]


def config(vocabulary: str) -> PromptConfig:
    autoencoder = AutoencoderConfig(8, (1, 2, 2), 1, 8, 4, attention=(), double_z=True)
    return PromptConfig(
        KLConfig(autoencoder),
        vocabulary=vocabulary,
        vocab_size=len(WORDS + MARKS),
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=6,
    )


def write_vocabulary(folder: Path) -> None:
    numbers = {word: number for number, word in enumerate(WORDS + MARKS)}
    (folder / "vocab.json").write_text(json.dumps(numbers))
    (folder / "merges.txt").write_text("#version: 0.2\na t</w>\nc at</w>\n")


def family_with(vocabulary: str) -> Family:
    """U-Nets whose one size draws prompts."""
    tiny = replace(TINY, condition="prompt", num_classes=0)
    return replace(
        FAMILIES["unet"],
        sizes={"tiny": tiny},
        tiny_config=tiny,
        tiny_tokenizer=lambda _: PromptTokenizer(config(vocabulary)),
        tokenizer=lambda _: PromptTokenizer(config(vocabulary)),
    )


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("vocabulary")
    write_vocabulary(folder)
    result = family_with(str(folder)).tiny()
    for parameter in result.tokenizer.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3)
    return result


def test_prompts_are_padded_with_the_last_mark(pipeline: Pipeline) -> None:
    assert isinstance(pipeline.tokenizer, PromptTokenizer)
    numbers = pipeline.tokenizer.read(["a cat", ""])
    assert numbers.tolist() == [[8, 0, 1, 9, 9, 9], [8, 9, 9, 9, 9, 9]]
    assert pipeline.tokenizer.encode(numbers).shape == (2, 6, 8)


@torch.no_grad()
def test_images_follow_their_prompts(pipeline: Pipeline) -> None:
    both = pipeline.sample(["a cat", "a"], seed=1, steps=3, guidance=2.0)
    alone = pipeline.sample(["a"], seed=1, first=1, steps=3, guidance=2.0)
    assert both.shape == (2, 16, 16, 3)
    assert int((both[1].int() - alone[0].int()).abs().max()) <= 1
    one, other = (
        pipeline.latents(pipeline.conditions([text]), seed=1, steps=3) for text in ("a", "cat")
    )
    assert not torch.equal(one, other)


def test_a_model_takes_one_prompt_or_several(pipeline: Pipeline) -> None:
    model = Model(pipeline)
    one = model.sample("a cat", seed=2, steps=2)
    assert np.array_equal(one, model.sample(["a cat"], seed=2, steps=2))
    with pytest.raises(ValueError, match="draws prompts, not classes"):
        model.sample([0])
    with pytest.raises(ValueError, match="give one text an image"):
        model.sample(4)
    with pytest.raises(ValueError, match="draws classes, not prompts"):
        FAMILIES["dit"].tiny().sample(["a cat"])


def test_calls_of_prompts_are_recorded(pipeline: Pipeline) -> None:
    found = record(pipeline, ["a cat", "a"], seed=0, keep=2, guidance=2.0)
    assert found.calls[0].args[2].shape == (4, 6, 8)


def test_a_recipe_calibrates_on_its_prompts(pipeline: Pipeline) -> None:
    recipe = find_recipe("rtn-w8a8-static")
    with pytest.raises(ValueError, match="calibration: prompts:"):
        apply(recipe, copy.deepcopy(pipeline))
    data = Calibration(samples=2, keep=2, prompts=("a cat",))
    told = apply(recipe.model_copy(update={"calibration": data}), copy.deepcopy(pipeline))
    assert told["calibration"]["labels"] == [[8, 0, 1, 9, 9, 9]] * 2


def test_the_cost_of_calibrating_on_prompts_is_told(pipeline: Pipeline) -> None:
    recipe = find_recipe("rtn-w8a8-static")
    with pytest.raises(ValueError, match="calibration: prompts:"):
        estimate_quantize(Model(pipeline), recipe)
    data = Calibration(samples=2, keep=2, prompts=("a cat",))
    found = estimate_quantize(Model(pipeline), recipe.model_copy(update={"calibration": data}))
    assert found.seconds > 0
    # What records nothing needs no prompts.
    assert estimate_quantize(Model(pipeline), find_recipe("rtn-w8a8")).seconds > 0


def test_a_missing_vocabulary_is_named(tmp_path: Path) -> None:
    tokenizer = PromptTokenizer(config(str(tmp_path / "none")))
    with pytest.raises(ValueError, match="the vocabulary .*none"):
        tokenizer.read(["a"])


def released(module: nn.Module, layouts: tuple[Layout, ...], name: str) -> dict[str, Tensor]:
    """The weights of `module` as the layout called `name` publishes them."""
    [layout] = [each for each in layouts if each.name == name]
    state = module.state_dict()
    return {
        key: rows.clone()
        for ours, source in layout.keys(module).items()
        for key, rows in zip(source.keys, state[ours].chunk(len(source.keys)), strict=True)
    }


def write_folder(pipeline: Pipeline, folder: Path) -> None:
    """`pipeline` as diffusers' StableDiffusionPipeline is published."""
    (folder / "model_index.json").write_text("{}")
    tensors = released(pipeline.tokenizer, FIRST_STAGE_LAYOUTS, "diffusers folder before 0.15")
    tensors["text_encoder.text_model.embeddings.position_ids"] = torch.arange(6)[None]
    network = released(pipeline.network, UNET_LAYOUTS, "diffusers")
    tensors |= {f"unet.{key}": tensor for key, tensor in network.items()}
    tensors["safety_checker.concept_embeds"] = torch.ones(2)
    for name in ("unet", "vae", "text_encoder", "safety_checker"):
        inside = {k.partition(".")[2]: t for k, t in tensors.items() if k.startswith(f"{name}.")}
        (folder / name).mkdir()
        save_file(inside, folder / name / "model.safetensors")


@torch.no_grad()
def test_a_diffusers_folder_brings_its_tokenizer_and_words(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAMILIES, "unet", family_with("nowhere/clip"))  # type: ignore[arg-type]
    folder, small = tmp_path / "released", tmp_path / "small"
    folder.mkdir()
    write_folder(pipeline, folder)
    wordless = bitscape.load("unet-tiny", checkpoint=folder)
    with pytest.raises(
        ValueError, match=r"'nowhere/clip' of 10 words is not here: put its vocab\.json"
    ):
        wordless.sample(["a cat"])
    (folder / "tokenizer").mkdir()
    write_vocabulary(folder / "tokenizer")
    model = bitscape.load("unet-tiny", checkpoint=folder)
    quantized = bitscape.quantize(model, "rtn-w8a16", out=small)
    images = model.sample(["a cat"], steps=2)
    assert np.array_equal(images, pipeline.sample(["a cat"], steps=2))
    # The artefact has the words of its own, whatever becomes of the folder.
    shutil.rmtree(folder / "tokenizer")
    assert isinstance(quantized.outline.tokenizer, PromptTokenizer)
    assert quantized.outline.tokenizer.read(["a cat"]).tolist() == [[8, 0, 1, 9, 9, 9]]
    (small / "vocabulary" / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(ValueError, match=r"merges\.txt does not match the sha256"):
        bitscape.load(small)


def test_every_weight_has_a_source_in_the_released_file(pipeline: Pipeline) -> None:
    layout = FIRST_STAGE_LAYOUTS[0]
    keys = layout.keys(pipeline.tokenizer)
    assert keys.keys() == pipeline.tokenizer.state_dict().keys()
    read = [key for source in keys.values() for key in source.keys]
    assert len(set(read)) == len(read)
    text = "cond_stage_model.transformer.text_model."
    assert f"{text}embeddings.token_embedding.weight" in read
    assert f"{text}encoder.layers.0.self_attn.k_proj.weight" in read
    extra = [f"{text}embeddings.position_ids", "model.diffusion_model.out.2.bias", "betas"]
    assert layout.unused(pipeline.tokenizer, [*read, *extra]) == []
