import pytest
import torch
from torch import Tensor

from bitscape.formats import E8M0, Float, parse_tensor_scheme
from bitscape.quantizers import (
    Grid,
    decode_scale,
    encode_scale,
    fake_quantize_dynamic,
    minmax,
    quantize_weight,
    round_scale,
    stored_scale,
    weight_grid,
)

MX = [f"{element}@g32*e8m0" for element in ("e2m1", "e2m3", "e3m2", "e4m3", "e5m2")]
NVFP4 = parse_tensor_scheme("e2m1@g16*e4m3")


def weight(rows: int = 24, columns: int = 96) -> Tensor:
    x = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))
    return x * torch.logspace(-3, 2, rows).unsqueeze(1)


@pytest.mark.parametrize("text", MX)
def test_powers_of_two_saturate_only_what_would_round_down(text: str) -> None:
    scheme = parse_tensor_scheme(text)
    grid = weight_grid(weight(), scheme, minmax)
    assert torch.equal(E8M0().round(grid.scale), grid.scale)
    most = weight().view(24, 3, 32).abs().amax(dim=-1, keepdim=True)
    top = scheme.format.values()[-2:]
    edge = float(top[1] + (top[1] - top[0]) / 2)
    assert bool((most / grid.scale <= edge).all())
    assert bool((most / (grid.scale / 2) > edge * 0.9999).all())


@pytest.mark.parametrize("bits", [4, 6])
def test_powers_of_two_are_those_of_compressed_tensors(bits: int) -> None:
    theirs = pytest.importorskip("compressed_tensors.quantization.utils.mxfp_utils")
    element = {4: "e2m1", 6: "e2m3"}[bits]
    grid = weight_grid(weight(), parse_tensor_scheme(f"{element}@g32*e8m0"), minmax)
    most = weight().view(24, 3, 32).abs().amax(dim=-1, keepdim=True)
    expected = theirs.generate_mx_scales(most, bits).to(torch.uint8)
    assert torch.equal(E8M0().encode(grid.scale), expected)


@pytest.mark.parametrize("text", [*MX, "e2m1@g16*e4m3", "int4@g16*e4m3", "e2m1@g16*e5m2"])
@pytest.mark.parametrize("magnitude", [1.0, 1e-30, 1e30])
def test_encoded_scales_come_back_to_the_last_bit(text: str, magnitude: float) -> None:
    scheme = parse_tensor_scheme(text)
    W = weight() * magnitude
    W[3] = 0
    grid = weight_grid(W, scheme, minmax)
    codes, wide = encode_scale(grid.scale, scheme)
    assert torch.equal(decode_scale(codes, wide, scheme), grid.scale)
    assert (wide is None) == (scheme.scale_format == E8M0())


def test_two_level_scales_are_near_the_wanted_ones() -> None:
    W = weight(24, 96)
    wanted = minmax(W.view(24, 6, 16), Float(2, 1), True).scale
    live = wanted > wanted.max() * 1e-3
    found = weight_grid(W, NVFP4, minmax).scale
    torch.testing.assert_close(found[live], wanted[live], rtol=0.0626, atol=0)


def test_dead_groups_do_not_spoil_two_level_scales() -> None:
    W = weight() * 1e-6
    alone = weight_grid(W[4:], NVFP4, minmax).scale
    W[:4] = 0
    assert torch.equal(weight_grid(W, NVFP4, minmax).scale[4:], alone)
    dead = weight_grid(torch.zeros(4, 32), NVFP4, minmax)
    assert bool((dead.scale > 0).all())
    assert bool((quantize_weight(torch.zeros(4, 32), dead, NVFP4) == 0).all())


def test_dynamic_two_level_scales_depend_on_their_token_alone() -> None:
    scheme = parse_tensor_scheme("e2m1@g16*e4m3,dynamic")
    x = weight().view(4, 6, 96)
    whole = fake_quantize_dynamic(x, scheme)
    assert torch.equal(fake_quantize_dynamic(x[1:2, 2:3], scheme), whole[1:2, 2:3])


def test_scales_of_stored_groups_are_half_precision() -> None:
    grid = weight_grid(weight() * 1e-7, parse_tensor_scheme("int4@g32"), minmax)
    assert torch.equal(grid.scale.half().float(), grid.scale)
    assert bool((grid.scale > 0).all())
    grid = Grid(torch.full((2, 3, 1), 0.1))
    assert round_scale(grid, parse_tensor_scheme("int4@g32,dynamic")) == grid
    assert round_scale(grid, parse_tensor_scheme("int4@channel")) == grid


def test_a_stored_scale_passes_its_gradient_on() -> None:
    scheme = parse_tensor_scheme("int4@g32")
    scale = torch.full((2, 3, 1), 0.1, requires_grad=True)
    stored = stored_scale(Grid(scale), scheme)
    assert torch.equal(stored, round_scale(Grid(scale.detach()), scheme).scale)
    assert not torch.equal(stored, scale)
    (gradient,) = torch.autograd.grad(stored.sum(), scale)
    assert torch.equal(gradient, torch.ones_like(scale))


def test_group_scales_beyond_half_precision_are_refused() -> None:
    with pytest.raises(ValueError, match="does not fit float16"):
        weight_grid(weight() * 1e7, parse_tensor_scheme("int4@g32"), minmax)


def test_float_scales_have_no_codes() -> None:
    with pytest.raises(ValueError, match="have no codes"):
        encode_scale(torch.ones(2, 3, 1), parse_tensor_scheme("int4@g32"))
