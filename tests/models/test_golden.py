"""VAR and DiT against the official code, by golden tensors.

How they were made: FoundationVision/VAR and facebookresearch/DiT (with the three layers that DiT
takes from timm written out), on the CPU in float32, networks of the sizes below, every tensor of
their state dictionaries filled by `formula` from its key and shape, except computed ones. The keys
and shapes stand in the metadata of the golden files, so that the files the test builds have exactly
the official keys; the weights themselves are not stored. VAR's tokens are the likeliest ones under
guidance 1.5 with the official cache, DiT's sample is `p_sample_loop` of `create_diffusion("4")`
over `forward_with_cfg`.
"""

import json
import math
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from bitscape.models import FAMILIES, MultiScaleConfig, MultiScaleTokenizer
from bitscape.models.autoencoder import AutoencoderConfig
from bitscape.models.checkpoint import Layout, gather
from bitscape.models.dit import DIT_LAYOUTS, DiTConfig
from bitscape.models.multiscale import VAR_TOKENIZER_LAYOUTS
from bitscape.models.sampling import guide
from bitscape.models.var import VAR_LAYOUTS
from bitscape.models.var_network import VARConfig
from bitscape.structure import Pipeline, Randomness, drive

GOLDEN = Path(__file__).parents[1] / "golden"
LABELS = torch.tensor([3, 7])
PATCH_NUMS = (1, 2, 3, 4)


def formula(key: str, shape: list[int]) -> Tensor:
    """Numbers that look random, of variance 0.64 / fan-in, or 0.01 for vectors."""
    phase = zlib.crc32(key.encode()) % 9973
    place = torch.arange(math.prod(shape), dtype=torch.float64)
    noise = torch.sin(place * 12.9898 + phase) * 43758.5453
    std = 0.8 * math.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.1
    return ((noise - noise.floor() - 0.5) * math.sqrt(12) * std).float().view(shape)


def golden(name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The stored tensors, and the official keys with their shapes of each module."""
    with safe_open(GOLDEN / f"{name}.safetensors", framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return tensors, {name: json.loads(text) for name, text in file.metadata().items()}


def fill(module: nn.Module, layouts: tuple[Layout, ...], shapes: dict[str, list[int]]) -> None:
    """Load a file with the official keys, all of which the layout must know."""
    file = {key: formula(key, shape) for key, shape in shapes.items()}
    layout = layouts[0]
    assert layout.missing(module, file) == []
    assert layout.unused(module, file) == []
    found = dict(gather(layout.keys(module), file.__getitem__))
    module.load_state_dict(found, strict=False)


def close(found: Tensor, expected: Tensor) -> None:
    """Equal to 1e-5 of the largest value."""
    scale = float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * scale)


def var(shared: bool) -> tuple[Pipeline, dict[str, Tensor]]:
    expected, shapes = golden("var_shared" if shared else "var")
    config = VARConfig(
        32,
        3,
        2,
        num_classes=10,
        vocabulary=64,
        latent_channels=8,
        patch_nums=PATCH_NUMS,
        shared_aln=shared,
    )
    autoencoder = AutoencoderConfig(32, (1, 2), 1, 8)
    tokenizer = MultiScaleTokenizer(MultiScaleConfig(autoencoder, 64, PATCH_NUMS))
    pipeline = FAMILIES["var"].pipeline("var", "golden", config, tokenizer)
    fill(pipeline.network, VAR_LAYOUTS, shapes["network"])
    fill(tokenizer, VAR_TOKENIZER_LAYOUTS, shapes["tokenizer"])
    return pipeline, expected


def dit() -> tuple[Pipeline, dict[str, Tensor]]:
    expected, shapes = golden("dit")
    family, config = FAMILIES["dit"], DiTConfig(32, 3, 2, num_classes=10, side=8)
    pipeline = family.pipeline("dit", "golden", config, family.tiny_tokenizer(family.tiny_config))
    fill(pipeline.network, DIT_LAYOUTS, shapes["network"])
    return pipeline, expected


shared_or_not = pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])


@shared_or_not
@torch.no_grad()
def test_var_has_the_official_logits(shared: bool) -> None:
    pipeline, expected = var(shared)
    inputs = formula("inputs", [2, pipeline.network.length - 1, 8])
    logits = pipeline.network(torch.cat([inputs.new_zeros(2, 1, 8), inputs], dim=1), LABELS)
    close(logits[:, ::3], expected["logits"])


@shared_or_not
@torch.no_grad()
def test_var_picks_the_official_tokens_and_draws_the_official_image(shared: bool) -> None:
    pipeline, expected = var(shared)
    chosen: list[Tensor] = []

    def tap(call: Any, output: Tensor) -> None:
        strength = 1.5 * int(call.step) / (len(PATCH_NUMS) - 1)
        chosen.append(guide(output, strength).argmax(dim=-1))

    # With one code left to choose from, sampling is greedy.
    latents = pipeline.latents(LABELS, guidance=1.5, top_k=1, top_p=0.0, tap=tap)
    assert torch.equal(torch.cat(chosen, dim=1), expected["tokens"])
    images = pipeline.adapter.decode(pipeline.tokenizer, latents)
    assert (images.int() - expected["images"].int()).abs().max() <= 1


@shared_or_not
@torch.no_grad()
def test_the_tokenizer_of_var_finds_the_official_tokens(shared: bool) -> None:
    pipeline, expected = var(shared)
    assert isinstance(pipeline.tokenizer, MultiScaleTokenizer)
    tokens = pipeline.tokenizer.tokens(formula("pixels", [2, 3, 8, 8]).clamp(-1, 1))
    assert torch.equal(torch.cat(tokens, dim=1), expected["encoded"])


@torch.no_grad()
def test_dit_has_the_official_output() -> None:
    pipeline, expected = dit()
    x, t = formula("latents", [2, 4, 8, 8]), torch.tensor([999, 40])
    close(pipeline.network(x, t, LABELS), expected["output"])
    both = pipeline.network(
        torch.cat([x, x]), torch.cat([t, t]), torch.cat([LABELS, torch.full_like(LABELS, 10)])
    )
    # The official script guides three channels of the noise; see `guided_channels`.
    close(guide(both[:, :3], 0.5), expected["guided"][:, :3])


class Written(Randomness):
    """Noise as the golden sample was drawn with: the start, then one array a step."""

    def __init__(self) -> None:
        super().__init__(0, range(2))
        names = iter(["start", "noise0", "noise1", "noise2", "noise3"])
        self.draw = lambda: formula(next(names), [2, 4, 8, 8])

    def normal(self, *shape: int) -> Tensor:
        assert shape == (4, 8, 8)
        return self.draw()


@torch.no_grad()
def test_dit_draws_the_official_sample() -> None:
    pipeline, expected = dit()
    trajectory = pipeline.adapter.trajectory(
        pipeline.network, LABELS, Written(), guidance=1.5, steps=4, solver="ddpm", guided_channels=3
    )
    close(drive(pipeline.network, trajectory, pipeline.clocks), expected["sample"])
