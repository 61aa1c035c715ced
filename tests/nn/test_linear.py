import itertools
import random

import pytest
import torch
from torch import nn

from bitscape.formats import parse_scheme
from bitscape.nn import QuantLinear
from bitscape.quantizers import Grid, minmax, quantize_weight, weight_grid
from bitscape.structure import Absorb, Role, Site, StepClock

SITE = Site("fc", Role.FC1)


def make(width: int = 48, out: int = 20, *, bias: bool = True) -> tuple[QuantLinear, torch.Tensor]:
    """A fresh layer and an input that has an outlier channel."""
    torch.manual_seed(0)
    layer = QuantLinear.of(nn.Linear(width, out, bias=bias), SITE, StepClock())
    x = torch.randn(2, 5, width)
    x[..., 3] *= 30
    return layer, x


def affine(layer: QuantLinear, rng: random.Random) -> None:
    generator = torch.Generator().manual_seed(rng.randrange(1 << 30))
    scale = torch.exp(0.7 * torch.randn(layer.in_features, generator=generator))
    shift = torch.randn(layer.in_features, generator=generator)
    layer.affine(scale, shift if rng.random() < 0.7 else None)


def rotate(layer: QuantLinear, rng: random.Random) -> None:
    generator = torch.Generator().manual_seed(rng.randrange(1 << 30))
    signs = torch.randint(2, (layer.in_features,), generator=generator) * 2.0 - 1
    layer.rotate(rng.choice([0, 4, 12, 48]), signs if rng.random() < 0.7 else None)


def split(layer: QuantLinear, rng: random.Random) -> None:
    generator = torch.Generator().manual_seed(rng.randrange(1 << 30))
    rank = rng.randint(1, 4)
    up = 0.1 * torch.randn(layer.out_features, rank, generator=generator)
    layer.split_off(up, 0.1 * torch.randn(rank, layer.in_features, generator=generator))


def relative(y: torch.Tensor, reference: torch.Tensor) -> float:
    return float(((y - reference).norm() / reference.norm()).detach())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_random_sequences_of_exact_methods_preserve_output(seed: int, bias: bool) -> None:
    rng = random.Random(seed)
    layer, x = make(bias=bias)
    before = layer(x)
    for edit in rng.choices([affine, rotate, split], k=5):
        edit(layer, rng)
    assert relative(layer(x), before) < 1e-5


@pytest.mark.parametrize("edits", list(itertools.permutations([affine, rotate, split], 2)))
def test_every_ordered_pair_of_exact_methods_preserves_output(edits) -> None:
    layer, x = make()
    before = layer(x)
    for edit in (*edits, *edits):
        edit(layer, random.Random(1))
    assert relative(layer(x), before) < 1e-5


def test_fresh_layer_is_its_source_bit_for_bit() -> None:
    linear = nn.Linear(8, 3)
    x = torch.randn(4, 8)
    assert torch.equal(QuantLinear.of(linear, SITE, StepClock())(x), linear(x))


def test_prologue_is_the_shifted_scaled_rotated_input() -> None:
    layer, x = make(width=16)
    scale, shift = torch.rand(16) + 0.5, torch.randn(16)
    layer.affine(scale, shift)
    torch.testing.assert_close(layer.prologue(x), (x - shift) / scale)
    layer.rotate(16)
    energy = ((x - shift) / scale).square().sum(-1)
    torch.testing.assert_close(layer.prologue(x).square().sum(-1), energy)


def test_affines_compose_left_to_right() -> None:
    layer, x = make(width=16)
    pairs = [(torch.rand(16) + 0.5, torch.randn(16)) for _ in range(3)]
    expected = x
    for scale, shift in pairs:
        layer.affine(scale, shift)
        expected = (expected - shift) / scale
    torch.testing.assert_close(layer.prologue(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("absorbed", [{Absorb.SCALE}, {Absorb.SHIFT}, set(Absorb)])
def test_fold_into_the_producer_preserves_output(absorbed: set[Absorb]) -> None:
    layer, x = make(width=16)
    before = layer(x)
    layer.affine(torch.rand(16) + 0.5, torch.randn(16))
    scale = layer.scale if Absorb.SCALE in absorbed else torch.ones(16)
    shift = layer.shift if Absorb.SHIFT in absorbed else torch.zeros(16)
    layer.drop_prologue(absorbed)
    assert relative(layer((x - shift) / scale), before) < 1e-5


def test_splitting_off_the_whole_weight_leaves_no_residual() -> None:
    layer, _ = make(width=16, out=8)
    left, values, right = torch.linalg.svd(layer.effective_weight().detach(), full_matrices=False)
    layer.split_off(left * values, right)
    assert float(layer.effective_weight().detach().abs().max()) < 1e-6


def test_exact_methods_are_refused_while_a_delta_stands_in_the_basis() -> None:
    layer, x = make()
    before = layer(x)
    layer.delta = nn.Parameter(torch.randn(20, 48))
    for edit in (affine, rotate, split):
        with pytest.raises(RuntimeError, match="remove it before"):
            edit(layer, random.Random(0))
    layer.delta = None
    assert torch.equal(layer(x), before)


def code(layer: QuantLinear, scheme: str) -> None:
    weight = parse_scheme(scheme).default.weight
    assert weight is not None
    W = layer.effective_weight().detach()
    grid = weight_grid(W, weight, minmax)
    layer.set_codes(quantize_weight(W, grid, weight), grid, weight)


@pytest.mark.parametrize("scheme", ["W8A16", "W4A16@g16,asym", "W3A16", "MXFP8"])
def test_coded_layer_is_near_the_float_one(scheme: str) -> None:
    layer, x = make(width=64)
    before = layer(x)
    code(layer, scheme)
    assert layer.weight is None
    assert relative(layer(x), before) < 0.3


@pytest.mark.parametrize("edit", [affine, rotate, split])
def test_exact_methods_are_refused_once_coded(edit) -> None:
    layer, _ = make()
    code(layer, "W4A16")
    with pytest.raises(RuntimeError, match="already coded"):
        edit(layer, random.Random(0))


def test_grid_survives_a_change_of_dtype() -> None:
    layer, x = make()
    code(layer, "W4A16")
    assert layer.coded is not None
    scale = layer.coded.grid_scale.clone()
    layer.bfloat16()
    assert torch.equal(layer.coded.grid_scale, scale)
    assert layer(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("wrong", [0.0, float("nan"), float("inf")])
def test_scale_that_cannot_be_undone_is_refused(wrong: float) -> None:
    layer, _ = make(width=16)
    scale = torch.ones(16)
    scale[5] = wrong
    with pytest.raises(ValueError, match="at channel 5"):
        layer.affine(scale)


def test_wrong_arguments_are_refused() -> None:
    layer, _ = make(width=16)
    with pytest.raises(ValueError, match="does not divide"):
        layer.rotate(12)
    with pytest.raises(ValueError, match="signs"):
        layer.rotate(4, torch.full((16,), 2.0))
    scheme = parse_scheme("W4A16").default.weight
    assert scheme is not None
    with pytest.raises(ValueError, match="codes of shape"):
        layer.set_codes(torch.zeros(3, 3, dtype=torch.uint8), Grid(torch.ones(3, 1, 1)), scheme)
