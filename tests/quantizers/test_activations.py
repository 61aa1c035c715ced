import pytest
import torch

from bitscape.formats import parse_tensor_scheme
from bitscape.quantizers import dynamic_grid, fake_quantize_dynamic

SCHEMES = [
    "int8@token,dynamic",
    "int4@token,dynamic",
    "e4m3@token,dynamic",
    "int8@g32,dynamic",
    "e2m1@g32*e8m0,dynamic",
    "e2m1@g16*e4m3,dynamic",
]
every_scheme = pytest.mark.parametrize("text", SCHEMES)


def activation() -> torch.Tensor:
    return torch.randn(3, 5, 64, generator=torch.Generator().manual_seed(0))


@every_scheme
def test_tokens_do_not_see_each_other(text: str) -> None:
    scheme = parse_tensor_scheme(text)
    x = activation()
    whole = fake_quantize_dynamic(x, scheme)
    for sample in range(3):
        alone = fake_quantize_dynamic(x[sample : sample + 1, 2:3], scheme)
        assert torch.equal(alone, whole[sample : sample + 1, 2:3])


@every_scheme
@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_wrong_values_stay_visible_in_their_own_token(text: str, wrong: float) -> None:
    scheme = parse_tensor_scheme(text)
    x = activation()
    clean = fake_quantize_dynamic(x, scheme)
    x[1, 2, 3] = wrong
    found = fake_quantize_dynamic(x, scheme)
    assert not bool(found[1, 2, 3].isfinite())
    keep = torch.ones(3, 5, dtype=torch.bool)
    keep[1, 2] = False
    assert torch.equal(found[keep], clean[keep])


@every_scheme
def test_dead_tokens_stay_zero(text: str) -> None:
    x = activation()
    x[0] = 0
    found = fake_quantize_dynamic(x, parse_tensor_scheme(text))
    assert torch.equal(found[0], x[0])
    assert bool(found.isfinite().all())


def test_scale_has_one_entry_for_each_token() -> None:
    grid = dynamic_grid(activation(), parse_tensor_scheme("int8@token,dynamic"))
    expected = activation().abs().amax(dim=-1, keepdim=True) / 127
    torch.testing.assert_close(grid.scale, expected, rtol=0, atol=0)


def test_gradient_passes_straight_through() -> None:
    x = activation().requires_grad_()
    fake_quantize_dynamic(x, parse_tensor_scheme("int8@token,dynamic")).sum().backward()
    torch.testing.assert_close(x.grad, torch.ones_like(x))
